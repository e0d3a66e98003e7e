// A token must be accepted in one place only. Browsers send cookies and forms by themselves, and proxies forward them.
import { attempt } from '../attempt.ts'
import type { Call } from '../connection.ts'
import type { Scenario } from '../scenario.ts'
import { playSeries } from '../series.ts'
import { type Client, type Loot, openThief, steal } from '../thief.ts'

export const scenario: Scenario = {
  id: 'token-elsewhere',
  sentence: 'A token is presented in a cookie, a body, or another header than Authorization.',
  stolen: 'the token',
  thief: 'their own connection; and web pages that make the client send a cookie or a form',
  control: 'the token in the header, on the connection of its client',
  expected: 'refused; a form may be accepted on the connection of the client',
  demandedBy: ['RFC 6750 §2, §2.2'],
  stoppedAt: ['certificate', 'proof', 'connection'],
  remedy: 'Accept tokens only in the Authorization header',
  async run(stage) {
    const victim = await stage.victim()
    const control = () => attempt('in the header', () => stage.use(victim.connection, victim.token))
    const controls = [await control()]
    const loot = steal(stage, victim)
    const present = ({ connection }: Pick<Client, 'connection'>, place: Place, brought = loot) =>
      connection.call(stage.resourcePath, place(brought))
    const thefts = [
      ...(await playSeries(
        () => stage.victim(),
        places,
        (own, place) => present(own, place, steal(stage, own)),
      )),
      ...(await playSeries(() => openThief(stage), { ...places, ...bodies }, present, ', by a thief')),
    ]
    return { controls: [...controls, await control()], thefts }
  },
}

type Place = (loot: Loot) => Call

const inHeaders =
  (headers: (token: string) => Record<string, string>): Place =>
  ({ token, ...proof }) => ({ ...proof, headers: headers(token) })

/** Places that no specification defines. */
const places: Readonly<Record<string, Place>> = {
  'in a cookie': inHeaders(token => ({ cookie: `access_token=${token}; token=${token}; jwt=${token}` })),
  'in X-Access-Token': inHeaders(token => ({ 'x-access-token': token, 'x-auth-token': token, 'access-token': token })),
  'in Proxy-Authorization': inHeaders(token => ({ 'proxy-authorization': `Bearer ${token}` })),
  'in X-Forwarded-Authorization': inHeaders(token => ({
    'x-forwarded-authorization': `Bearer ${token}`,
    'x-authorization': `Bearer ${token}`,
    'x-original-authorization': `Bearer ${token}`,
  })),
  'without a scheme': inHeaders(token => ({ authorization: token })),
  'with the scheme Token': inHeaders(token => ({ authorization: `Token ${token}` })),
  'as a Basic password': inHeaders(token => ({
    authorization: `Basic ${Buffer.from(`token:${token}`).toString('base64')}`,
  })),
  'in the body of a GET': ({ token, ...proof }) => ({ ...proof, headers: form, body: `access_token=${token}` }),
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** RFC 6750 §2.2 defines the form, so a server may accept it from the client itself. */
const bodies: Readonly<Record<string, Place>> = {
  'in a form': ({ token, ...proof }) => ({ ...proof, method: 'POST', headers: form, body: `access_token=${token}` }),
  'in JSON': ({ token, ...proof }) => ({
    ...proof,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ access_token: token }),
  }),
}
