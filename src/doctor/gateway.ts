// The routes of the gateway: whether each upstream accepts connections, with a trusted certificate. Sends no request.
import { openUpstream } from '../gateway/upstream.ts'
import { readGatewayFile } from '../process/files.ts'
import { ofIssuer } from '../process/wire.ts'
import type { Settings } from '../settings/settings.ts'
import { type Finding, failuresOf, good } from './finding.ts'

/** Checks the routes. @throws Error (rejects) with every problem of the list. */
export async function checkGateway({ gatewayFile: file }: Settings, isOnline: boolean): Promise<Finding[]> {
  if (file === undefined) return [good('not configured: no request is forwarded')]
  return Promise.all(
    readGatewayFile(file, ofIssuer).map(async route => {
      const { name, upstream, demand } = route
      const found = `${name}: is forwarded to ${upstream.text}${demand === undefined ? ', without a token' : ''}`
      if (!isOnline) return good(found)
      try {
        const socket = await openUpstream(route).connect()
        socket.destroy()
        return good(`${found}; it can be reached`)
      } catch (error) {
        return failuresOf(error)[0] as Finding
      }
    }),
  )
}
