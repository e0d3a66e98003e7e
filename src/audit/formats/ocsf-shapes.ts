// The members that each OCSF class requires beyond the common ones. Facts without a place in the class are returned
// separately.
import type { EventName, Facts } from '../event.ts'
import { actorOf } from './actor.ts'
import { asText, known, tlsVersion } from './known.ts'
import type { ClassUid } from './ocsf-classes.ts'

/** The members of a class, and the facts that only tlsbound has. `uid` is the event's. */
type Shape = (facts: Facts, name: EventName, uid: string) => { readonly members: object; readonly unmapped: Facts }

const service = { name: 'tlsbound' }

/** For required members whose value is not known. No client is named so, since clients have a uid and no name. */
const unknown = { name: 'unknown' }

/** OAUTH 2.0. */
const oauth = { auth_protocol_id: 6, is_remote: true }

/** The methods of OCSF 1.5; any other one is in `api.operation`. */
const httpMethods = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'TRACE']

const titles: Partial<Record<EventName, string>> = {
  'token.leaked': 'A token was found where others can read it',
  'refresh.reused': 'A used refresh token was used again',
  'theft.suspected': 'A token was presented on the wrong connection or with the wrong certificate',
  'proxy.suspected': 'Tokens of several clients come from one other certificate or address',
}

export const shapes: Readonly<Record<ClassUid, Shape>> = {
  0: facts => ({ members: {}, unmapped: facts }),

  2004: ({ client_id, ...facts }, name, uid) => {
    const { api, src_endpoint, unmapped } = originOf(facts)
    const user = userOf(client_id)
    const evidence = { src_endpoint, api, user }
    return { members: { finding_info: { uid, title: titles[name] }, is_alert: true, evidences: [evidence] }, unmapped }
  },

  3002: ({ sub, ...facts }) => {
    const { client, owner, others } = actorOf(facts)
    const { http_request, src_endpoint, unmapped } = originOf(others)
    const actor = client === undefined ? undefined : { user: userOf(client) }
    const user = userOf(sub) ?? userOf(client) ?? unknown
    return {
      members: { user, actor, service, src_endpoint, http_request, ...oauth },
      unmapped: { client_id: owner, ...unmapped },
    }
  },

  4001: ({ peer, peer_port, tls, cipher, ...unmapped }) => {
    const version = tlsVersion(tls)
    const src_endpoint = endpointOf(peer, peer_port)
    return {
      members: { src_endpoint, dst_endpoint: { svc_name: 'tlsbound' }, tls: version && { version, cipher } },
      unmapped,
    }
  },

  6003: facts => {
    const { client, owner, others } = actorOf(facts)
    const { api, http_request, src_endpoint, unmapped } = originOf(others)
    const actor = { user: userOf(client) ?? unknown }
    return { members: { actor, api, src_endpoint, http_request }, unmapped: { client_id: owner, ...unmapped } }
  },
}

function userOf(id: unknown): { readonly uid: string } | undefined {
  const uid = asText(id)
  return uid === undefined ? undefined : { uid }
}

function endpointOf(ip: string | undefined, port: number | undefined): object {
  return known({ ip, port }) ?? unknown
}

/** Returns where a request came from, and its target. */
function originOf({ peer, peer_port, request_id, method, path, ...unmapped }: Facts) {
  const http_method = httpMethods.find(name => name === method)
  return {
    src_endpoint: endpointOf(peer, peer_port),
    http_request: known({ uid: request_id, http_method, url: path === undefined ? undefined : { path } }),
    api: {
      operation: method === undefined ? 'unknown' : `${method} ${path}`,
      service,
      request: request_id === undefined ? undefined : { uid: request_id },
    },
    unmapped,
  }
}
