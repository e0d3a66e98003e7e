// tlsbound gateway: forwards requests with a bound token to services in any language, until a signal ends it.
import { FileProblem } from '../files/file-problem.ts'
import { loadCertificates, loadPrivateKey, renderCertificates, renderPrivateKey } from '../files/pem-files.ts'
import { parseRoutes } from '../gateway/routes.ts'
import type { LoadedRoute } from '../gateway/upstream.ts'
import { readGatewayFile } from '../process/files.ts'
import { gatewaySettings, isDemoOf, ownKeysFile, prepareDemo, startGateway } from '../process/gateway.ts'
import { levelsElsewhere } from '../server/gateway-server.ts'
import { settingsTable } from '../settings/settings.ts'
import { type Command, UsageError } from './command.ts'
import * as option from './gateway-options.ts'
import { createOptionReader, present, type ReadOption } from './option.ts'
import { writeMessage } from './output.ts'

const settings = gatewaySettings.map(key => settingsTable[key])

export const command: Command = {
  usage: ['--upstream URL [OPTIONS]', '--routes FILE [OPTIONS]'],
  description: [
    'Forwards requests to services that know nothing of tlsbound. It ends TLS, verifies certificate and token of each request, and states the identity in Tlsbound-Assertion, which it signs. GET /oauth/jwks returns the keys for that.',
    'The tokens are of an issuer elsewhere, so that levels certificate and proof are possible. For level connection, set TLSBOUND_GATEWAY_FILE for tlsbound serve.',
    'The gateway notices changed files within two seconds: routes, certificate and key, authorities, revocation lists, proxies, and the certificate for the issuer. SIGHUP loads them at once. SIGTERM ends the gateway after the requests under way.',
  ],
  options: option.gatewayOptions,
  environment: settings.map(({ name, shown, meaning }) => ({
    name,
    fallback:
      name === settingsTable.signingKeysFile.name
        ? `${ownKeysFile} in the data folder, generated`
        : shown.replaceAll('`', ''),
    help: meaning.replaceAll('`', ''),
  })),
  failure: 'the gateway could not start',
  examples: [
    'tlsbound gateway --upstream http://127.0.0.1:9000',
    'tlsbound gateway --routes routes.json --issuer https://login.example --audience https://api.example',
  ],
  async run(values) {
    const read = createOptionReader(values, process.env)
    const upstream = read(option.upstream)
    const file = upstream === undefined ? read(option.routes) : undefined
    if (upstream === undefined && file === undefined)
      throw new UsageError(`--${option.upstream.name} or --${option.routes.name} is missing`)
    if (upstream !== undefined && values[option.routes.name] !== undefined)
      throw new UsageError(`--${option.upstream.name} and --${option.routes.name} exclude each other`)
    const route = present({ scope: read(option.scope), binding: read(option.binding) })
    if (file !== undefined && Object.keys(route).length > 0)
      throw new UsageError(`--${Object.keys(route)[0]} belongs into the routes of ${file}`)
    const issuer = read(option.issuer) ?? (isDemoOf(process.env) ? 'https://localhost:8443' : undefined)
    if (issuer === undefined) throw new UsageError(`--${option.issuer.name} (${option.issuer.variable}) is missing`)
    const audience = read(option.audience) ?? issuer
    for (const sentence of prepareDemo(process.env)) writeMessage(sentence)
    const caFile = read(option.issuerCa) ?? (isDemoOf(process.env) ? 'certs/ca.crt' : undefined)
    const profile = read(option.profile)
    const loadRoutes = (): readonly LoadedRoute[] => {
      if (file !== undefined) return readGatewayFile(file, { levels: levelsElsewhere })
      const noFiles = { ca: undefined, cert: undefined, key: undefined }
      return parseRoutes([{ path: '/', upstream, ...route }], [], { levels: levelsElsewhere }).map(parsed => ({
        ...parsed,
        material: noFiles,
      }))
    }
    const jwks = caFile === undefined ? {} : { ca: renderCertificates(loadCertificates(caFile)) }
    const introspection = readIntrospection(read, () =>
      caFile === undefined ? undefined : renderCertificates(loadCertificates(caFile)),
    )
    const names = new Set([...settings.map(({ name }) => name), 'NODE_ENV', 'NODE_OPTIONS'])
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => names.has(name) || !name.startsWith('TLSBOUND_')),
    )
    const origin = await startGateway({
      ...{ env, port: read(option.port) ?? 8444, url: read(option.url), issuer, audience, loadRoutes, introspection },
      verifier: { issuer, audience, jwks, ...present({ profile }) },
    })
    writeMessage(`The gateway listens on ${origin}.`) // stdout has the events
  },
}

/** Reads how to ask the issuer for revocations; undefined: it is not asked. @throws UsageError naming the missing option. */
function readIntrospection(read: ReadOption, loadCa: () => string | undefined): Introspecting {
  const seconds = read(option.introspect)
  const given = { clientId: read(option.clientId), cert: read(option.cert), key: read(option.key) }
  const names = { clientId: option.clientId.name, cert: option.cert.name, key: option.key.name }
  for (const [member, name] of Object.entries(names)) {
    const isGiven = given[member as keyof typeof given] !== undefined
    if (seconds !== undefined && !isGiven) throw new UsageError(`--${option.introspect.name} needs --${name}`)
    if (seconds === undefined && isGiven)
      throw new UsageError(`--${name} is of use with --${option.introspect.name} only`)
  }
  if (seconds === undefined) return undefined
  const { clientId, cert, key } = given as { readonly [name in keyof typeof given]: string }
  return {
    ...{ clientId, seconds },
    loadMaterial() {
      const chain = loadCertificates(cert)
      const own = loadPrivateKey(key, { isSecret: true })
      if (!chain[0].x509.checkPrivateKey(own))
        throw new FileProblem(key, { found: `this key does not belong to the certificate in ${cert}` })
      return { ca: loadCa(), cert: renderCertificates(chain), key: renderPrivateKey(own) }
    },
  }
}

type Introspecting = Parameters<typeof startGateway>[0]['introspection']
