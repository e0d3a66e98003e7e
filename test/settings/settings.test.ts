// Settings: the valid values of each variable, its default, and one message for all problems.
// CF01, CF09, PK29, RE25.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { describeServiceLinks } from '../../src/settings/service-links.ts'
import { parseSettings, SettingsError, settingsTable } from '../../src/settings/settings.ts'

const tlsFiles = {
  TLSBOUND_TLS_CERT_FILE: 'server.crt',
  TLSBOUND_TLS_KEY_FILE: 'server.key',
  TLSBOUND_TLS_CLIENT_CA_FILE: 'ca.crt',
}
const ownFiles = { ...tlsFiles, TLSBOUND_CLIENTS_FILE: 'clients.json' }

/** The names at the beginning of the lines of a SettingsError. */
function complaints(env: Record<string, string>): string[] {
  try {
    parseSettings(env)
    return []
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return [...error.message.matchAll(/^- ([\w, ]*?(?:TLSBOUND_\w*|NODE_ENV))/gm)].map(([, name]) => name as string)
  }
}

t.test('runs the demo on loopback without any variable, with short lifetimes and TLS 1.3 (CF09)', t => {
  const settings = parseSettings({})
  t.ok(Object.isFrozen(settings))
  t.same(settings, {
    host: '127.0.0.1',
    port: 8443,
    workers: 1,
    proxyProtocolFrom: undefined,
    opsPort: 9443,
    opsTokenFile: 'data/ops-token',
    probeHost: '127.0.0.1',
    probePort: 0,
    issuer: 'https://localhost:8443',
    audience: 'https://localhost:8443',
    tlsCertFile: 'certs/server.crt',
    tlsKeyFile: 'certs/server.key',
    tlsClientCaFile: 'certs/ca.crt',
    tlsClientCrlFile: undefined,
    clientCertFrom: undefined,
    proxySocket: undefined,
    tlsMinVersion: 'TLSv1.3',
    tlsDropUnacceptable: false,
    connectionMaxAge: 3600,
    expiryWarningDays: 30,
    http2: true,
    clientsFile: undefined,
    dataDir: 'data',
    signingKeysFile: undefined,
    signingAlgorithm: 'ES256',
    signingKeyMaxAge: 7_776_000,
    stateUrl: 'sqlite:data/tlsbound.db',
    statePasswordFile: undefined,
    accessTokenLifetime: 300,
    refreshTokenLifetime: 86_400,
    trustedIssuersFile: undefined,
    gatewayFile: undefined,
    webhooksFile: undefined,
    logLevel: 'info',
    auditFile: undefined,
    auditFormat: 'plain',
    leakKeysFile: undefined,
    leakKeysUrl: undefined,
    unsafeTokenCookie: false,
    demo: true,
  })
  t.same(
    parseSettings({ PATH: '/bin', NODE_ENV: 'test', XTLSBOUND_PORT: '1', tlsbound_port: '1' }),
    settings,
    'unrelated names',
  )
  const empty = Object.fromEntries(Object.values(settingsTable).map(({ name }) => [name, '']))
  t.same(parseSettings(empty), settings, 'an empty value counts as absent')
  t.end()
})

t.test('derives issuer and audience from the other settings', t => {
  t.match(parseSettings({ TLSBOUND_PORT: '9000' }), {
    issuer: 'https://localhost:9000',
    audience: 'https://localhost:9000',
  })
  const issuer = { TLSBOUND_PORT: '9000', TLSBOUND_ISSUER: 'https://as.example' }
  t.match(parseSettings(issuer), { issuer: 'https://as.example', audience: 'https://as.example' })
  const both = { ...issuer, TLSBOUND_AUDIENCE: 'https://rs.example/api' }
  t.match(parseSettings(both), { issuer: 'https://as.example', audience: 'https://rs.example/api' })
  t.end()
})

const addresses = {
  good: [
    'https://as.example',
    'https://as.example/',
    'https://as.example/tenant',
    'https://as.example:8443',
    'https://[::1]:8443',
    'https://10.0.0.1',
  ],
  bad: [
    'http://as.example',
    'as.example',
    'https://',
    'https://as.example?a=b',
    'https://as.example#a',
    'https://a:b@as.example',
    'https://AS.example',
    'https://as.example:443',
    'https://as.example/a/../b',
    ' https://as.example',
    'https://as.example\n',
    'ftp://as.example',
    'https://as.example/a b',
  ],
}
const token = randomBytes(32).toString('base64url')
const paths = {
  good: ['a', '/etc/a', './a b', 'a/ä', `/run/secrets/${token}`, `${token}.json`, 'x'.repeat(39)],
  bad: [
    token,
    `tlsbound_at_${token}`,
    `${Buffer.from(token, 'base64url').toString('base64')}`,
    'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl',
    `-----BEGIN ${'PRIVATE'} KEY-----\nMC4CAQAwBQYDK2VwBCIEIA`,
    '{"keys":[{"d":"secret"}]}',
    'postgres://user:secret@host/db',
    'https://user:secret@host/file',
    'a\nb',
  ],
}
const onOff = {
  good: ['on', 'off'],
  bad: ['true', 'false', '1', '0', 'ON', ' on', 'yes', 'constructor', '__proto__', 'toString'],
}

/** Valid and invalid texts for each setting. A setting without a row fails below. */
const texts: Record<keyof typeof settingsTable, { good: readonly string[]; bad: readonly string[] }> = {
  host: {
    good: ['127.0.0.1', '0.0.0.0', '::', '::1'],
    bad: ['localhost', '127.0.0.1:1', '[::1]', '256.0.0.1', '127.1', '*', ' ::1'],
  },
  port: {
    good: ['1', '443', '65535'],
    bad: ['0', '-1', '65536', '8443.0', '0x1', '1e3', ' 1', '1 ', '+1', 'a', '99999999999999999999'],
  },
  workers: { good: ['1', '2', '64', 'auto'], bad: ['0', '65', '-1', '1.5', 'all', 'AUTO', ' 2', '2x'] },
  proxyProtocolFrom: {
    good: ['10.0.0.5', '10.0.0.0/8', '0.0.0.0/0', '::/0', 'fd00::/8', '10.0.0.5,fd00::1/128', '10.0.0.5, 10.0.0.6'],
    bad: [
      ...['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0', '256.0.0.1', '::/129'],
      ...[
        'localhost',
        'unix:',
        '*',
        '10.0.0.1,',
        ',',
        '10.0.0.1;10.0.0.2',
        'fe80::1%lo',
        '[::1]',
        '10.0.0.0/255.0.0.0',
      ],
    ],
  },
  opsPort: { good: ['0', '1', '9443', '65535'], bad: ['-1', '65536', 'off', '1e3', ' 1'] },
  opsTokenFile: paths,
  probeHost: { good: ['127.0.0.1', '0.0.0.0', '::'], bad: ['localhost', '*', '10.0.0.0/8'] },
  probePort: { good: ['0', '1', '9080', '65535'], bad: ['-1', '65536', 'off', 'http://10.0.0.1:80'] },
  issuer: addresses,
  audience: addresses,
  tlsCertFile: paths,
  tlsKeyFile: paths,
  tlsKeyPassphraseFile: paths,
  tlsClientCaFile: paths,
  tlsClientCrlFile: paths,
  clientCertFrom: paths,
  proxySocket: paths,
  tlsMinVersion: { good: ['TLSv1.2', 'TLSv1.3'], bad: ['TLSv1', 'TLSv1.1', 'tlsv1.3', '1.3', 'SSLv3', 'TLSv1.3 '] },
  tlsDropUnacceptable: onOff,
  connectionMaxAge: { good: ['1', '3600', '604800'], bad: ['0', '604801', '-1', '1.5', '1h', 'Infinity', 'NaN'] },
  expiryWarningDays: { good: ['1', '30', '3650'], bad: ['0', '3651', '-1', '30d', '1.5'] },
  http2: onOff,
  clientsFile: paths,
  dataDir: paths,
  signingKeysFile: paths,
  signingAlgorithm: {
    good: ['ES256', 'EdDSA', 'RS256'],
    bad: ['HS256', 'none', 'ES384', 'PS256', 'es256', 'constructor'],
  },
  signingKeyMaxAge: { good: ['0', '3600', '315360000'], bad: ['1', '3599', '315360001', '-1', '90d', 'off'] },
  stateUrl: {
    good: [
      ...['sqlite:a', 'sqlite::memory:', 'sqlite:/a/b.db', 'postgres://localhost/x', 'postgresql://u:p@h:1/x'],
      ...['postgres://u@/x?host=/run/postgresql', 'postgres://%2Frun%2Fpostgresql/x', 'postgres://u:a%23b%2F%40@h/x'],
      'postgres://u:p@h/x?sslmode=verify-full&options=-c%20search_path%3Dours',
    ],
    bad: [
      ...['sqlite:', 'a.db', 'SQLITE:a', 'file:a', 'postgres:x', 'mysql://localhost/x', 'sqlite:postgres://u:p@h/x'],
      ...['postgres://u:a#b@h/x', 'postgres://u:1#b@h/x', 'postgres://u:1/b@h/x', 'postgres://u:1?b@h/x'],
    ],
  },
  statePasswordFile: paths,
  accessTokenLifetime: { good: ['1', '300', '86400'], bad: ['0', '86401', '-300', '5m', '3e2', '300s'] },
  refreshTokenLifetime: { good: ['1', '86400', '31536000'], bad: ['0', '31536001', '-300', '1d'] },
  trustedIssuersFile: paths,
  gatewayFile: paths,
  webhooksFile: paths,
  logLevel: {
    good: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
    bad: ['INFO', 'verbose', '30', '__proto__'],
  },
  auditFile: paths,
  auditFormat: { good: ['plain', 'ecs', 'ocsf'], bad: ['json', 'ECS', ' plain', 'cef'] },
  leakKeysFile: paths,
  leakKeysUrl: addresses,
  unsafeTokenCookie: onOff,
}

/** What a setting needs beside itself. */
const beside: Readonly<Record<string, Record<string, string>>> = {
  statePasswordFile: { TLSBOUND_STATE_URL: 'postgres://u@h/x' },
}

for (const [key, { name }] of Object.entries(settingsTable))
  t.test(`${name} accepts valid values, and is named in the error for invalid ones`, t => {
    const { good, bad } = texts[key as keyof typeof texts] ?? t.fail('no row')
    for (const text of good) {
      const value = parseSettings({ ...ownFiles, ...beside[key], [name]: text })[key as keyof typeof texts]
      t.ok(String(value) === text || value === (text === 'on'), text)
    }
    for (const text of bad) t.same(complaints({ ...ownFiles, [name]: text }), [name], JSON.stringify(text))
    t.match(name, /^TLSBOUND_[A-Z0-9_]+$/)
    t.end()
  })

t.test('accepts a file with the password of the database beside a URL of PostgreSQL without one', t => {
  const given = (url: string | undefined) => ({
    TLSBOUND_STATE_PASSWORD_FILE: 'password',
    ...(url !== undefined && { TLSBOUND_STATE_URL: url }),
  })
  for (const url of [
    'postgres://u@h/x',
    'postgresql://u@/x?host=/run/postgresql',
    'postgres://h/x',
    'postgres://u:@h/x',
  ])
    t.match(parseSettings(given(url)), { statePasswordFile: 'password' }, url)
  for (const url of [undefined, 'sqlite:a.db'])
    t.throws(() => parseSettings(given(url)), {
      message: /^- TLSBOUND_STATE_PASSWORD_FILE needs a PostgreSQL database in TLSBOUND_STATE_URL$/m,
    })
  for (const url of [
    ...['postgres://u:canary@h/x', 'postgresql://u:canary@/x?host=/run', 'postgres://:canary@h/x'],
    ...['postgres://u@h/x?password=canary', 'postgres://u@h/x?a=b&passfile=canary'],
  ])
    t.throws(() => parseSettings(given(url)), {
      message:
        /^invalid configuration:\n- TLSBOUND_STATE_PASSWORD_FILE and a password in TLSBOUND_STATE_URL exclude each other$/,
    })
  // libpq would use the password, and the server the file.
  for (const url of ['postgres://u:canary@h/x?passfile=a', 'postgres://u@h/x?password=canary&passfile=a'])
    t.throws(() => parseSettings({ TLSBOUND_STATE_URL: url }), {
      message: /^invalid configuration:\n- a password and passfile in TLSBOUND_STATE_URL exclude each other$/,
    })
  t.match(parseSettings({ TLSBOUND_STATE_URL: 'postgres://u@h/x?passfile=a' }), { demo: true }, 'control')
  t.end()
})

t.test('puts the files that the server creates into its data folder', t => {
  t.match(parseSettings({ TLSBOUND_DATA_DIR: '/var/lib/t/' }), {
    opsTokenFile: '/var/lib/t/ops-token',
    stateUrl: 'sqlite:/var/lib/t/tlsbound.db',
  })
  const other = { TLSBOUND_DATA_DIR: '/x', TLSBOUND_OPS_TOKEN_FILE: 'token', TLSBOUND_STATE_URL: 'sqlite:state.db' }
  t.match(parseSettings(other), { opsTokenFile: 'token', stateUrl: 'sqlite:state.db' }, 'a setting takes precedence')
  t.equal(parseSettings({ TLSBOUND_DATA_DIR: '/' }).opsTokenFile, '/ops-token')
  t.end()
})

t.test('ignores the variables that Kubernetes adds for a service, and names them', t => {
  const links = {
    TLSBOUND_SERVICE_HOST: '10.96.0.7',
    TLSBOUND_SERVICE_PORT: '8443',
    TLSBOUND_SERVICE_PORT_HTTPS: '8443',
    TLSBOUND_PORT: 'tcp://10.96.0.7:8443',
    TLSBOUND_PORT_8443_TCP: 'tcp://10.96.0.7:8443',
    TLSBOUND_PORT_8443_TCP_PROTO: 'tcp',
    TLSBOUND_PORT_8443_TCP_PORT: '8443',
    TLSBOUND_PORT_8443_TCP_ADDR: '10.96.0.7',
    TLSBOUND_PROBE_PORT: 'tcp://[fd00::7]:9080',
    TLSBOUND_OPS_SERVICE_HOST: '10.96.0.8',
  }
  t.same(parseSettings({ KUBERNETES_SERVICE_HOST: '10.96.0.1', ...links }), parseSettings({}))
  const warning = describeServiceLinks({ PATH: '/bin', TLSBOUND_HOST: '::', ...links })
  for (const name of Object.keys(links)) t.match(warning, name)
  t.notMatch(warning, /TLSBOUND_HOST|PATH|10\.96/)
  t.equal(describeServiceLinks({ TLSBOUND_PORT: '9000' }), undefined)
  const wrong = ['tcp://', 'tcp://x:1', 'http://10.96.0.7:8443', 'tcp://10.96.0.7:8443/x']
  for (const value of wrong) t.same(complaints({ TLSBOUND_PORT: value }), ['TLSBOUND_PORT'], value)
  for (const name of ['TLSBOUND_SERVICE', 'TLSBOUND_PORT_X_TCP', 'TLSBOUND_SERVICE_HOSTS'])
    t.same(complaints({ [name]: '1' }), [name], name)
  t.end()
})

t.test('reports all problems in one message, including unknown names (RE25)', t => {
  const env = {
    ...tlsFiles,
    TLSBOUND_PROT: '1',
    TLSBOUND_: '',
    TLSBOUND_PORT: 'x',
    TLSBOUND_HTTP2: 'maybe',
    TLSBOUND_ISSUER: 'http://x',
  }
  const names = [
    'TLSBOUND_',
    'TLSBOUND_CLIENTS_FILE',
    'TLSBOUND_HTTP2',
    'TLSBOUND_ISSUER',
    'TLSBOUND_PORT',
    'TLSBOUND_PROT',
  ]
  t.same(complaints(env).sort(), names)
  t.same(complaints({ TLSBOUND_LEEK_KEYS_FILE: '' }), ['TLSBOUND_LEEK_KEYS_FILE'], 'an unknown name, even if empty')
  t.end()
})

t.test('shows an invalid value only if it is short and plain, and never if it may contain a secret', t => {
  const message = (env: Record<string, string>) => {
    try {
      parseSettings(env)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  }
  const passwords = [...'#/?% \\["\n'].map(odd => `47${odd}11canary`)
  const urls = passwords.flatMap(password =>
    ['postgres', 'postgresql', 'mysql', 'POSTGRES', 'sqlite:postgres', 'redis+tls'].flatMap(scheme =>
      [`//tlsbound:${password}@db.example/state`, `/tlsbound:${password}@db.example`, `//:${password}@db.example`].map(
        rest => [password, `${scheme}:${rest}`] as const,
      ),
    ),
  )
  let refused = 0
  for (const [password, url] of urls) {
    const text = message({ TLSBOUND_STATE_URL: url })
    if (text !== undefined) refused++
    for (const part of [password, 'canary', 'db.example']) t.notOk(text?.includes(part), url)
  }
  t.ok(refused > urls.length / 2, `control: ${refused} of ${urls.length} are refused`)

  const secrets = [...paths.bad.filter(text => text !== 'a\nb'), 'https://a:b@as.example', 'https://as.example?token=x']
  let told = 0
  for (const [key, { name }] of Object.entries(settingsTable))
    for (const secret of secrets) {
      const text = message({ ...ownFiles, ...beside[key], [name]: secret })
      if (text === undefined) continue // a valid form
      t.match(text, new RegExp(`^invalid configuration:\n- ${name} must be .* \\(its value is not shown, `))
      for (const part of [secret, JSON.stringify(secret).slice(1, -1)])
        t.notOk(text.includes(part), `${name}=${secret}`)
      told++
    }
  t.ok(told > 200, `control: ${told} are refused`)
  for (const [name, shown] of [
    ['TLSBOUND_PORT', '84433'],
    ['TLSBOUND_PORT', '-1'],
    ['TLSBOUND_HTTP2', 'maybe'],
    ['TLSBOUND_HOST', '256.0.0.1'],
    ['TLSBOUND_HOST', '[::1]'],
    ['TLSBOUND_ISSUER', 'http://localhost:8443'],
    ['TLSBOUND_TLS_MIN_VERSION', 'TLSv1'],
  ] as const)
    t.ok(message({ [name]: shown })?.endsWith(`, not ${JSON.stringify(shown)}`), `${name}=${shown}`)
  t.end()
})

t.test('escapes a value that could end a line', t => {
  try {
    parseSettings({ TLSBOUND_LOG_LEVEL: 'a\nb\u001b[31m' })
    t.fail('must throw')
  } catch (error) {
    for (const raw of ['\nb', '\u001b']) t.notOk((error as Error).message.includes(raw))
  }
  t.end()
})

t.test('requires the TLS files together, which disable the demo (PK29)', t => {
  t.match(parseSettings(ownFiles), { demo: false, tlsCertFile: 'server.crt', clientsFile: 'clients.json' }, 'control')
  for (const missing of Object.keys(tlsFiles)) {
    const { [missing as keyof typeof ownFiles]: _, ...some } = ownFiles
    t.equal(complaints(some).length, 1, `without ${missing}`)
  }
  t.same(complaints({ TLSBOUND_TLS_KEY_FILE: 'a' }).length, 2, 'and a clients file')
  t.same(complaints(tlsFiles), ['TLSBOUND_CLIENTS_FILE'], 'the demo clients are only for the demo')
  t.end()
})

t.test('accepts one source for the keys of leak reporters', t => {
  const keys = { TLSBOUND_LEAK_KEYS_FILE: 'keys.json', TLSBOUND_LEAK_KEYS_URL: 'https://api.example/keys' }
  for (const [name, value] of Object.entries(keys)) t.same(complaints({ [name]: value }), [], name)
  t.equal(complaints(keys).length, 1)
  t.end()
})

t.test('rejects the demo in production (PK29, CF01)', t => {
  t.match(parseSettings({ ...ownFiles, NODE_ENV: 'production' }), { demo: false }, 'control')
  t.equal(complaints({ NODE_ENV: 'production' }).length, 1)
  t.match(parseSettings({ NODE_ENV: 'Production' }), { demo: true }, 'the one spelling that Node programs agree on')
  t.end()
})
