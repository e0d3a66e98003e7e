// tlsbound token: requests an access token. RFC 6749 §4.4, §5.

import { readIdentityFiles } from '../client/client.ts'
import { type BoundChannel, openChannel } from '../client/connection/channel.ts'
import { readClientId, readCredentials } from '../client/identity.ts'
import { fetchMetadata, tokenEndpointOf } from '../client/metadata.ts'
import { requestAccessToken } from '../client/tokens/request-token.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { httpsUrl } from '../settings/forms.ts'
import { levels } from '../text/describe-token.ts'
import { type Command, UsageError } from './command.ts'
import { identityNotes, identityOptions, requireIdentity } from './identity-options.ts'
import { writeMessage } from './output.ts'
import { readTokenOptions, tokenOptions } from './token-options.ts'

export const command: Command = {
  usage: ['ISSUER-URL [OPTIONS]'],
  description: [
    'Requests an access token from an issuer and writes it to stdout. A message on stderr explains where the token can be used.',
  ],
  positionals: { value: 'ISSUER-URL' },
  options: [{ name: 'json', help: 'Writes the whole token response as JSON' }, ...tokenOptions, ...identityOptions],
  groupNotes: identityNotes,
  examples: [
    'TOKEN=$(tlsbound token https://localhost:8443 --binding certificate)',
    'curl --cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key -H "Authorization: Bearer $TOKEN" https://localhost:8443/api/notes',
  ],
  async run(values, [word, ...others]) {
    const issuer = word === undefined || others.length > 0 ? undefined : httpsUrl.parse(word)
    if (issuer === undefined) throw new UsageError('expected the address of one issuer, such as https://localhost:8443')
    const { files, clientId } = requireIdentity(values)
    const wanted = readTokenOptions(values) // before any file: wrong usage is reported first
    const credentials = readCredentials(readIdentityFiles(files)())
    const demand = { clientId: clientId ?? readClientId(credentials), ...wanted }
    const channels: BoundChannel[] = []
    const open = async (origin: string) => {
      const channel = await openChannel(origin, credentials)
      channels.push(channel)
      return channel
    }
    try {
      const home = await open(new URL(issuer).origin)
      const endpoint = tokenEndpointOf(await fetchMetadata(home.dispatcher, issuer))
      const channel = endpoint.origin === home.origin ? home : await open(endpoint.origin)
      const { value, binding, answer } = await requestAccessToken(channel, endpoint, demand)
      process.stdout.write(`${values.json === true ? JSON.stringify(answer) : value}\n`)
      writeMessage(`Level ${binding}: valid ${levels[binding]}.`)
      writeMessage(describeUse(binding, files.certFile, answer.expires_in))
    } finally {
      for (const channel of channels) channel.destroy()
    }
  },
}

function describeUse(level: TokenBinding, certFile: string, lifetime: unknown): string {
  if (level === 'connection')
    return 'That connection is closed, so the token can no longer be used. tlsbound call and tlsbound sidecar use a token on its connection.'
  const limits = `The certificate is ${certFile}${typeof lifetime === 'number' ? `, the token expires in ${lifetime} s` : ''}.`
  const whose =
    level === 'proof' ? 'tlsbound call and tlsbound sidecar sign such proofs' : 'Any HTTP client can use it there'
  return `${limits} ${whose}.`
}
