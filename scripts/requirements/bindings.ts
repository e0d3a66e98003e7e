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
    says: 'On TLS 1.2 the empty context is passed; omitting it would give another value.',
  },
  {
    number: 'N-03',
    level: 'MUST',
    source: 'RFC 9266 §2',
    says: 'Where master secrets may not be unique (TLS 1.2 without the extended master secret, and earlier), there is no binding.',
  },
  {
    number: 'N-04',
    level: 'MUST',
    source: 'RFC 9266 §4.2',
    says: 'Connections are never renegotiated.',
  },
  {
    number: 'N-05',
    level: 'MUST',
    source: 'RFC 9266 §3, RFC 8446 App. C.5',
    says: 'TLS 1.3 has `tls-exporter`, and never `tls-unique`.',
  },
  {
    number: 'N-06',
    level: 'MUST',
    source: 'RFC 9266 §4',
    says: 'A binding value is used for channel binding only; tokens, responses and logs contain its hash.',
    limit: ['in part', 'The exclusive use is visible in `src/core/channel-binding.ts`; no test can show it.'],
  },
  {
    number: 'N-07',
    level: 'MUST',
    source: 'RFC 9266 §4.1',
    says: 'A channel binding serves one authentication of its connection.',
    limit: [
      'in part',
      'The client certificate counts as that one authentication, which every token of the connection repeats. All of them have the same binding; no test can show that this interpretation is right.',
    ],
  },
  {
    number: 'N-08',
    level: 'MUST',
    source: 'RFC 9266 §4.1',
    says: 'When the authentication of a connection is over, the connection ends.',
    limit: [
      'in part',
      'It ends when its certificate is no longer accepted, and half a second after its client was disabled. It stays open after its tokens expired or were revoked, since the client can get new ones.',
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
    says: 'A binding belongs to one connection, not to a resumable session, and the server does not renegotiate.',
  },
  {
    number: 'N-11',
    level: 'MUST',
    source: 'RFC 5929 §4.1',
    says: '`tls-server-end-point` is the hash of the server’s certificate by the hash of its signature.',
    limit: [
      'does not apply',
      'It does not identify the connection, so it is not offered; a token with it is rejected.',
    ],
  },
  {
    number: 'N-12',
    level: 'SHOULD',
    source: 'RFC 5929 §6',
    says: '`tls-exporter` is available wherever there is a binding, with `tls-unique` in addition; there is no end-point binding.',
  },
  {
    number: 'N-13',
    level: 'MUST',
    source: 'RFC 5056 §2.1',
    says: 'A binding always has the name of its type.',
    limit: [
      'in part',
      'The name is the member of `cnf`. Unlike the canonical form of RFC 5056, the hashed octets do not begin with it and a colon.',
    ],
  },
  {
    number: 'N-14',
    level: 'MUST',
    source: 'RFC 5056 §2.1',
    says: 'The binding is integrity-protected, its failure is reported, and no request is served before it was verified.',
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
    says: 'An exported value is long enough to avoid collisions: 32 octets.',
  },
  {
    number: 'N-17',
    level: 'MUST',
    source: 'RFC 8446 §7.5, App. E.5.1',
    says: 'Values are exported after the handshake; early data, which can be replayed, is never read.',
  },
  {
    number: 'N-18',
    level: 'MUST',
    source: 'RFC 7627 §5.3, §5.4',
    says: 'Without the extended master secret no value is exported and no Finished message is used, resumed or not.',
    limit: [
      'in part',
      '§5.3, to abort a resumed handshake without the extension, is left to OpenSSL; this server resumes nothing.',
    ],
  },
  {
    number: 'N-19',
    level: 'SHOULD',
    source: 'RFC 5705 §4',
    says: 'Exporter labels begin with `EXPORTER` and are registered.',
    limit: [
      'in part',
      '`EXPORTER-oauth-tls-session-bound` is the label of an Internet-Draft, and not registered (a MUST) before it is published.',
    ],
  },
  {
    number: 'N-20',
    level: 'MUST',
    source: 'RFC 9261 §5.1, §5.2.4',
    says: 'Exported authenticators need the extended master secret and are compared in constant time.',
    limit: [
      'does not apply',
      'Exported authenticators are not used. Bindings are still compared with `timingSafeEqual`, whose timing no test measures.',
    ],
  },
]
