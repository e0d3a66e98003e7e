// tlsbound with refresh tokens, and a million grants and revocations of others.
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => startTlsbound(pki, ['client_credentials', 'refresh_token'], { isGrown: true }))
