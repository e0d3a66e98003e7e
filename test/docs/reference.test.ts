// Reference pages written by hand: they list everything that the code has, and nothing else.
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  authenticationMethods,
  grantTypes,
  parseClients,
  refreshTokenBindings,
  registrationMembers,
  theftResponses,
} from '../../src/core/client.ts'
import { tokenBindings } from '../../src/core/confirmation.ts'
import { exposingOptions, exposingVariables } from '../../src/process/exposures.ts'

const read = (name: string) => readFileSync(`docs/reference/${name}.md`, 'utf8')

t.test('lists each member of a registration with its values in client-registration.md', async t => {
  const page = read('client-registration')
  const [table = ''] = page.split('## Authentication')
  const members = [...table.matchAll(/^\| `(\w+)` \| (.*?) \| (.*) \|$/gm)]
  t.same(members.map(([, name]) => name).toSorted(), [...registrationMembers].sort())
  const valuesOf = (member: string) => members.find(([, name]) => name === member)?.[3] ?? ''
  for (const [member, values] of Object.entries({
    token_endpoint_auth_method: authenticationMethods,
    grant_types: grantTypes,
    token_bindings: tokenBindings,
    theft_response: theftResponses,
    refresh_token_binding: refreshTokenBindings,
  }))
    for (const value of values) t.match(valuesOf(member), `\`${value}\``, `${member} ${value}`)
  for (const value of theftResponses) t.match(page, `\n| \`${value}\` |`)
  for (const value of authenticationMethods) t.match(page, `\n| \`${value}\` |`)
})

t.test('has the defaults of the code and a valid example in client-registration.md', async t => {
  const page = read('client-registration')
  const problems: string[] = []
  parseClients(JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? ''), problems)
  t.same(problems, [])
  const least = { client_id: 'a', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=a' }
  const client = parseClients([least], problems).get('a')
  const defaults = Object.fromEntries(
    [...page.matchAll(/^\| `(\w+)` \| `(.*?)` \|/gm)].map(([, name, value]) => [name, value]),
  )
  t.same(JSON.parse(String(defaults.grant_types)), [...(client?.grantTypes ?? [])])
  t.same(JSON.parse(String(defaults.token_bindings)), client?.bindings)
  t.equal(defaults.access_token_format, client?.format)
  t.equal(defaults.refresh_token_rotation, client?.rotation)
  t.equal(defaults.theft_response, client?.theftResponse)
})

t.test('lists each variable and option that exposes secrets in production-mode.md', async t => {
  const [table = ''] = read('production-mode').split('## In every mode')
  const cells = [...table.matchAll(/^\| (.*?) \|/gm)].map(([, cell]) => cell).join(' ')
  const named = [...cells.matchAll(/`((?!TLSBOUND_)[A-Z_]+|--[a-z-]+)(?:=0)?…?`/g)].map(([, name = '']) => name)
  const exposing = [...exposingVariables.map(([name]) => name), ...exposingOptions.map(([beginning]) => beginning)]
  t.same(
    named.map(name => name.replace(/(?<=.)-$/, '')).toSorted(),
    exposing.map(name => name.replace(/-$/, '')).sort(),
  )
})
