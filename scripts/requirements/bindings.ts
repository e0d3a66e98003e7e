// Channel bindings: RFC 9266, RFC 5929, RFC 5056, RFC 5705, RFC 7627, RFC 8446.
import type { Requirement } from './requirements.ts'

export const bindingRequirements: readonly Requirement[] = [
  {
    number: 'N-01',
    level: 'MUST',
    source: 'RFC 9266 §2',
    says: '`tls-exporter` has the label `EXPORTER-Channel-Binding`, an empty context and 32 octets, the same at both ends.',
  },
  {
    number: 'N-02',
    level: 'MUST',
    source: 'RFC 9266 §2, RFC 5705 §4',
    says: 'On TLS 1.2 the empty context is passed; leaving it out would give another value.',
  },
  {
    number: 'N-03',
    level: 'MUST',
    source: 'RFC 9266 §2',
    says: 'Where master secrets need not be unique, on TLS 1.2 without the extended master secret and before, there is no binding.',
  },
  {
    number: 'N-04',
    level: 'MUST',
    source: 'RFC 9266 §4.2',
    says: 'No connection is ever renegotiated.',
  },
  {
    number: 'N-05',
    level: 'MUST',
    source: 'RFC 9266 §3, RFC 8446 App. C.5',
    says: 'On TLS 1.3 there is `tls-exporter`, and never `tls-unique`.',
  },
  {
    number: 'N-06',
    level: 'MUST',
    source: 'RFC 9266 §4',
    says: 'A binding value is for channel binding alone; what is issued, shown and written down is its hash.',
    limit: [
      'in part',
      'That a value serves nothing else is to be read in `src/core/channel-binding.ts`; no test can show it.',
    ],
  },
  {
    number: 'N-07',
    level: 'MUST',
    source: 'RFC 9266 §4.1',
    says: 'A channel binding serves one authentication of its connection.',
    limit: [
      'in part',
      'We take the client certificate for that one authentication, which every token of the connection restates. All of them name the same binding; no test can show that this reading is the right one.',
    ],
  },
  {
    number: 'N-08',
    level: 'MUST',
    source: 'RFC 9266 §4.1',
    says: 'When the authentication of a connection is over, the connection ends.',
    limit: [
      'in part',
      'It ends with the refusal of a certificate that was accepted and no longer is, and half a second after its client was disabled. It stays open when its tokens have expired or were revoked, since it can get new ones.',
    ],
  },
  {
    number: 'N-09',
    level: 'MUST',
    source: 'RFC 5929 §3.1',
    says: "`tls-unique` is the first Finished message: the client's in a full handshake, the server's in a resumed one.",
  },
  {
    number: 'N-10',
    level: 'MUST',
    source: 'RFC 5929 §3.1',
    says: 'A binding is of one connection, not of what can be resumed, and the server does not renegotiate.',
  },
  {
    number: 'N-11',
    level: 'MUST',
    source: 'RFC 5929 §4.1',
    says: '`tls-server-end-point` is the hash of the server’s certificate by the hash of its signature.',
    limit: [
      'does not apply',
      'It says nothing of the connection, so it is not offered; a token that names it is refused.',
    ],
  },
  {
    number: 'N-12',
    level: 'SHOULD',
    source: 'RFC 5929 §6',
    says: 'One type is there wherever there is any, `tls-exporter`; beside it `tls-unique`, and no binding to an end point.',
  },
  {
    number: 'N-13',
    level: 'MUST',
    source: 'RFC 5056 §2.1',
    says: 'A binding is never without the name of its type.',
    limit: [
      'in part',
      'The name is that of the member of `cnf`; the octets that are hashed do not begin with it and a colon, as the canonical form of RFC 5056 does.',
    ],
  },
  {
    number: 'N-14',
    level: 'MUST',
    source: 'RFC 5056 §2.1',
    says: 'What says the binding cannot be changed, its failure is told, and nothing is answered before it has held.',
  },
  {
    number: 'N-15',
    level: 'MUST',
    source: 'RFC 5056 §2.1, RFC 8446 App. E.1',
    says: 'A connection-bound token names the client certificate too, which the exporter of TLS 1.3 does not cover.',
  },
  {
    number: 'N-16',
    level: 'MUST',
    source: 'RFC 8446 App. E.1',
    says: 'An exported value is long enough that no two collide: 32 octets.',
  },
  {
    number: 'N-17',
    level: 'MUST',
    source: 'RFC 8446 §7.5, App. E.5.1',
    says: 'Values are exported from the finished handshake, and early data, which can be replayed, is never read.',
  },
  {
    number: 'N-18',
    level: 'MUST',
    source: 'RFC 7627 §5.3, §5.4',
    says: 'Without the extended master secret nothing is exported and no Finished is relied on, resumed or not.',
    limit: [
      'in part',
      '§5.3, to abort a resumed handshake that has lost the extension, is left to OpenSSL; our server resumes nothing.',
    ],
  },
  {
    number: 'N-19',
    level: 'SHOULD',
    source: 'RFC 5705 §4',
    says: 'Exporter labels begin with `EXPORTER` and are registered.',
    limit: [
      'in part',
      '`EXPORTER-oauth-tls-session-bound` is the label of an Internet-Draft, and not registered (a MUST) while that is one.',
    ],
  },
  {
    number: 'N-20',
    level: 'MUST',
    source: 'RFC 9261 §5.1, §5.2.4',
    says: 'Exported authenticators need the extended master secret and are compared in constant time.',
    limit: [
      'does not apply',
      'There are none. Bindings are compared with `timingSafeEqual` all the same, whose time no test measures.',
    ],
  },
]
