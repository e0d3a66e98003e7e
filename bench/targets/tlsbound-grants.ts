// tlsbound with a refresh token beside each access token: a grant, stored in SQLite before the response.
import { startTlsbound } from './start-tlsbound.ts'
import { serveTarget } from './target.ts'

serveTarget(pki => startTlsbound(pki, ['client_credentials', 'refresh_token']))
