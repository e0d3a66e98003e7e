// tlsbound with access tokens only: issuing one writes nothing.
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => startTlsbound(pki, ['client_credentials']))
