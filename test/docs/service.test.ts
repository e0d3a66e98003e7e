// The how-to pages of an installed service are true: their commands run, with stand-ins for systemd and its user.
// Needs the Debian packages curl, jq, openssl and sqlite3.
import t from 'tap'
import { runPages } from '../helpers/process/page.ts'
import { serviceSetups } from '../helpers/process/service-setups.ts'

t.setTimeout(1_200_000) // servers that start and end, one after the other

await runPages(t, serviceSetups)
