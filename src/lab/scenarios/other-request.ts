// A check for one method or one spelling of a path may be missing for the others.
import { type Attempt, attempt } from '../attempt.ts'
import type { Answer, Call } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import type { Stage } from '../stage.ts'
import { type Loot, openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'other-request',
  sentence: 'A stolen token is used with other methods, other spellings of the path, and other host names.',
  stolen: 'the token',
  thief: 'their own connection; methods that could delete data are not tried',
  control: 'the token on the connection of its client, unchanged',
  expected: 'refused everywhere; a path that needs no token does not count',
  demandedBy: ['RFC 8705 §3', 'RFC 9110 §4.2.3, §7.4'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Verify the token before routing, for every method, path and host name',
  async run(stage) {
    const victim = await stage.victim()
    const control = () => attempt('unchanged', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const loot = steal(stage, victim)
    const open = () => openThief(stage)
    const thefts = [
      ...(await playSeries(open, methods, ({ connection }, call) =>
        connection.call(stage.resourcePath, { ...loot, ...call }),
      )),
      ...(await playSeries(open, hostsOf(stage), ({ connection }, headers) =>
        connection.call(stage.resourcePath, { ...loot, headers }),
      )),
      ...(await useElsewhere(stage, loot)),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

const methods: Readonly<Record<string, Call>> = {
  GET: {},
  HEAD: { method: 'HEAD' },
  'POST without a body': { method: 'POST', body: '' },
  'POST with JSON': { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  PROPFIND: { method: 'PROPFIND' },
  'GET with X-HTTP-Method-Override': { headers: { 'x-http-method-override': 'OPTIONS' } },
  'GET with WebSocket headers': {
    headers: { 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
  },
  'GET with conditional headers': {
    headers: { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT', 'if-none-match': '"x"' },
  },
}

function hostsOf({ options: { http, profile } }: Stage): Readonly<Record<string, Record<string, string>>> {
  const name = http === 'h2' ? ':authority' : 'host'
  const { host, hostname } = profile.resource
  return {
    'the host in upper case': { [name]: host.toUpperCase() },
    'the host with a trailing dot': { [name]: host.replace(hostname, `${hostname}.`) },
    'the host without a port': { [name]: hostname },
    'another host': { [name]: 'evil.example' },
    'another host in X-Forwarded-Host': { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' },
  }
}

/** Other spellings of the path, without those that need no token. */
async function useElsewhere(stage: Stage, loot: Loot): Promise<Attempt[]> {
  const isGood = ({ status }: Answer) => status >= 200 && status < 300
  const open = new Set<string>()
  const attempts = await playSeries(
    () => openThief(stage),
    Object.fromEntries(Object.entries(pathsOf(stage)).map(([what, path]) => [what, { what, path }])),
    async ({ connection }, { what, path }) => {
      const answer = await connection.call(path, loot)
      if (isGood(answer) && isGood(await connection.call(path))) open.add(what)
      return answer
    },
  )
  return attempts.filter(({ what }) => !open.has(what))
}

function pathsOf({ options }: Stage): Readonly<Record<string, string>> {
  const { pathname, search, origin } = options.profile.resource
  const at = pathname.lastIndexOf('/') + 1
  const [folder, name] = [pathname.slice(0, at), pathname.slice(at)]
  return {
    'a trailing slash': `${pathname}/`,
    'two leading slashes': `/${pathname}`,
    'two slashes within the path': `${folder}/${name}`,
    'a dot segment': `${folder}./${name}`,
    'a double-dot segment': `${folder}x/../${name}`,
    'a percent-encoded letter': `${folder}${name.replace(/^./, letter => `%${letter.charCodeAt(0).toString(16)}`)}`,
    'the path in upper case': `${folder}${name.toUpperCase()}`,
    'a path parameter': `${pathname};a=b`,
    'a file extension': `${pathname}.json`,
    'an additional query parameter': `${pathname}${search === '' ? '?' : `${search}&`}a=b`,
    ...(options.http === 'http/1.1' && { 'an absolute URL': `${origin}${pathname}${search}` }),
  }
}
