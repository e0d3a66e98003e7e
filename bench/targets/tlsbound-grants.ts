// Ours, with a refresh token beside each access token: a grant, durable in SQLite before it is answered.
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => startTlsbound(pki, ['client_credentials', 'refresh_token']))
