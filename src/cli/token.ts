// tlsbound token: an access token for this client, and where it may be used. RFC 6749 §4.4, §5.

import { readIdentityFiles } from '../client/client.ts'
import { type BoundChannel, openChannel } from '../client/connection/channel.ts'
import { readClientId, readCredentials } from '../client/identity.ts'
import { fetchMetadata, tokenEndpointOf } from '../client/metadata.ts'
import { requestAccessToken } from '../client/tokens/request-token.ts'
import type { TokenBinding } from '../core/confirmation.ts'
import { httpsUrl } from '../settings/forms.ts'
import { levels } from '../text/describe-token.ts'
import { type Command, UsageError } from './command.ts'
import { identityHelp, identityOptions, requireIdentity } from './identity-options.ts'
import { say } from './say.ts'
import { readTokenOptions, tokenHelp, tokenOptions } from './token-options.ts'

export const command: Command = {
  help: `Usage: tlsbound token ISSUER-URL [OPTIONS]

Asks an issuer for an access token, prints it on stdout, and says on stderr where it may be used.

  TOKEN=$(tlsbound token https://localhost:8443 --binding certificate)
  curl --cacert certs/ca.crt --cert certs/alice.crt --key certs/alice.key -H "Authorization: Bearer $TOKEN" …
${tokenHelp}
  --json                  the whole answer of the issuer
${identityHelp}`,
  options: { ...tokenOptions, ...identityOptions, json: { type: 'boolean' } },
  takesWords: true,
  async run(values, [word, ...others]) {
    const issuer = word === undefined || others.length > 0 ? undefined : httpsUrl.read(word)
    if (issuer === undefined) throw new UsageError('token takes the address of one issuer, as https://localhost:8443')
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
      say(`Level ${binding}: good ${levels[binding]}.`)
      say(describeUse(binding, files.certFile, answer.expires_in))
    } finally {
      for (const channel of channels) channel.destroy()
    }
  },
}

function describeUse(level: TokenBinding, certFile: string, lifetime: unknown): string {
  if (level === 'connection')
    return 'That connection has just ended, so it is good for nothing any more. tlsbound call and tlsbound sidecar keep theirs.'
  const limits = `The certificate is ${certFile}${typeof lifetime === 'number' ? `, the token ends in ${lifetime} s` : ''}.`
  const whose =
    level === 'proof' ? 'tlsbound call and tlsbound sidecar sign such proofs' : 'Any HTTP client can use it there'
  return `${limits} ${whose}.`
}
