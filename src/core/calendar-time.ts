// Whether a date and time exist. Date.parse alone takes February 30 as March 2, and 24:00 as the next day.

/** Parses YYYY-MM-DDTHH:MM:SS as UTC. Returns milliseconds since 1970, or undefined for another form or a time that does not exist. */
export function parseCalendarTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text)) return undefined
  const milliseconds = Date.parse(`${text}Z`)
  const exists = !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(text)
  return exists ? milliseconds : undefined
}
