// Reports of leaks, the store, and upstreams of the gateway.
import type { DetailEntry } from './entry.ts'
import { fetchDetails } from './fetch.ts'

export const serviceDetails = {
  report_signature_invalid: {
    unknown_key: {
      cause: 'No reporter has a key with this identifier.',
      remedy: 'Add the key to TLSBOUND_LEAK_KEYS_FILE.',
      actor: 'operator or reporter',
    },
    wrong_signature: {
      cause: 'The key does not verify the signature of the received body.',
      remedy:
        'Sign the exact octets of the body, and check that no proxy changes them. If the reporter did not send the report, it was forged.',
      actor: 'reporter',
      sign: 'attack',
    },
  },
  reporter_unavailable: fetchDetails,
  store_unavailable: {
    no_answer: {
      cause: 'The store did not respond, or returned an error.',
      remedy: 'See the error in the log.',
    },
    read_only: {
      cause: 'The store is read-only: its database, file or disk does not allow writes, or it is a standby.',
      remedy: 'Connect to the primary, or make the database, file or disk writable; the log has the error.',
    },
    full: {
      cause: 'The disk of the store is full.',
      remedy: 'Free or add disk space; the server recovers without a restart.',
    },
    session: {
      cause: 'A database connection does not have the requested schema or timeouts.',
      remedy: 'Connect without a pooler, or set them for the role; the log shows the difference.',
    },
    not_listening: {
      cause: 'The mutual-TLS listener accepts no connections.',
      remedy: 'The server is starting or stopping; see the log.',
    },
    stale: {
      cause: 'The server has had no response from the store for 5 seconds and may have missed a revocation.',
      remedy: 'Check the database and the network to it.',
    },
    event_not_written: {
      cause: 'Security events cannot be written, so no token is issued or accepted.',
      remedy: 'Check the disk and the permissions of TLSBOUND_AUDIT_FILE; see the error in the log.',
    },
  },
  upstream_unavailable: {
    unreachable: {
      cause: 'No connection to the upstream {address} could be opened: {found}.',
      remedy: 'Check that the upstream runs, its address in the routes, the network and the firewall.',
    },
    not_trusted: {
      cause: 'TLS with the upstream {address} failed: {found}.',
      remedy:
        'See the fact found. Check scheme and port of the address, ca_file, cert_file and key_file of the route, and the certificate of the upstream.',
    },
    busy: {
      cause: 'As many requests as allowed are under way to the upstream {address}.',
      remedy: 'Make the upstream faster or start more of it; see docs/reference/limits.md.',
    },
    tunnels: {
      cause: 'As many upgraded connections as allowed are open.',
      remedy: 'Close some, or start more gateways; see docs/reference/limits.md.',
    },
  },
  upstream_failed: {
    response_malformed: {
      cause: 'The response of the upstream {address} is not valid HTTP/1.1: {found}.',
      remedy: 'Check that the address is that of an HTTP server, and update the upstream.',
    },
    cut_off: {
      cause: 'The upstream {address} closed the connection before its response: {found}.',
      remedy: 'See the log of the upstream.',
    },
    unfit: {
      cause: 'The response of the upstream {address} cannot be sent to the client.',
      remedy: 'Check the header fields and the length of the response.',
    },
  },
  upstream_timeout: {
    no_response: {
      cause: 'The upstream {address} did not respond for {limit} seconds.',
      remedy: 'See the log of the upstream, or set timeout in the route.',
    },
    connect: {
      cause: 'The connection to the upstream {address} timed out.',
      remedy: 'Check the address in the routes, the network and the firewall.',
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, DetailEntry>>>>
