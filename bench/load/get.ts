// The request that most kinds of load send.

/** Returns a GET with these header fields. */
export const buildGet = (port: number, fields: Record<string, string> = {}, path = '/api/whoami'): Buffer =>
  Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\n${Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
