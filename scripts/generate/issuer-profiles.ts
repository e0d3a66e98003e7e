// docs/reference/issuer-profiles.md: how the tokens of each issuer profile look, from the profiles themselves.
import { type IssuerProfileName, issuerProfiles, resolveProfile } from '../../src/verify/issuer-profiles.ts'
import { type Files, generatedFrom, table } from './generator.ts'

const issuers: Readonly<Record<IssuerProfileName, string>> = {
  rfc9068: 'tlsbound, and issuers that follow RFC 9068 to the letter; the default',
  keycloak: 'Keycloak, with its own type of token or with `at+jwt` switched on',
  auth0: 'Auth0, in its own dialect or with its RFC 9068 profile',
  okta: 'Okta',
  entra: 'Microsoft Entra ID, versions 1 and 2; also with the scheme `mtls_pop`',
  pingfederate: 'PingFederate',
  pingam: 'PingAM, ForgeRock',
  duende: 'Duende IdentityServer',
  spring: 'Spring Authorization Server',
  hydra: 'Ory Hydra, with `cnf` set by a hook',
  curity: 'Curity Identity Server',
  'node-oidc-provider': 'node-oidc-provider',
}

const quote = (names: readonly string[]) => names.map(name => `\`${name}\``).join(', ')

export function generate(): Files {
  const rows = Object.keys(issuerProfiles).map(key => {
    const name = key as IssuerProfileName
    const { types, clientClaims, scopeClaims, idClaim, optional, maximumLifetime } = resolveProfile(name)
    const known = types.map(type => (type === undefined ? 'absent' : `\`${type}\``)).join(', ')
    return [
      ...[`\`${name}\``, issuers[name], known, quote(clientClaims), quote(scopeClaims), quote([idClaim])],
      ...[quote(optional), `${maximumLifetime} s`],
    ]
  })
  const header = ['profile', 'issuer', '`typ`', 'client', 'scope', 'id', 'may be absent', 'longest lifetime']
  const { algorithms, maximumLength } = resolveProfile({ types: ['at+jwt'] })
  const values = { algorithms: quote(algorithms), length: String(maximumLength) }
  const text = page.replace(
    /\{(\w+)\}/g,
    (_, name: string) => (values as Record<string, string>)[name] ?? table(header, rows),
  )
  return { 'docs/reference/issuer-profiles.md': text }
}

const page = `# Issuer profiles

${generatedFrom('src/verify/issuer-profiles.ts', 'issuer-profiles')}
This page lists the profiles that \`createVerifier\`, \`requireToken\` and the entries of \`TLSBOUND_TRUSTED_ISSUERS_FILE\` accept as
\`profile\`: how the access tokens of an issuer look.

{table}
Where several claims are listed, the first one that the token has counts. The scope is one text or a list. If the subject is absent,
the client takes its place. If the id is absent, a hash of the token takes its place.

In every profile:

- \`cnf\` is required, and is verified: \`x5t#S256\`, and at the levels \`proof\` and \`connection\` the members that tlsbound adds. A
  token with an unknown member in \`cnf\` is rejected.
- \`alg\` is one of {algorithms}.
- A [PASETO](access-tokens.md#paseto) is accepted with \`rfc9068\`, if the issuer publishes a key for it, and with \`v4.public\` in the
  \`algorithms\` of a profile of your own.
- A token has at most {length} characters.
- Tokens with \`crit\` or \`b64\` in the header are rejected. Other header members, such as \`jku\` and \`x5c\`, are ignored.
- ID tokens, logout tokens and refresh tokens are rejected: those with \`at_hash\`, \`c_hash\`, \`s_hash\` or \`events\`, with a
  \`typ\` or \`token_use\` claim of another kind, or with \`nonce\` or \`auth_time\` and no client.

## A profile of your own

\`profile\` can be an object with these members of the table, each of which replaces a default of \`rfc9068\`:

| member | value |
|---|---|
| \`types\` | list of \`typ\` values, in lower case and without \`application/\`; \`undefined\` in it: \`typ\` may be absent. Required |
| \`algorithms\` | list of the algorithms above, and \`v4.public\` for PASETO; default: those above |
| \`clientClaim\`, \`scopeClaim\` | name of a claim, or a list of names |
| \`idClaim\` | name of a claim |
| \`optional\` | list of \`sub\`, \`iat\`, \`id\`, \`scope\` |
| \`schemes\` | schemes of the Authorization header beside Bearer |
| \`maximumLifetime\` | seconds, at most 31536000 |
| \`maximumLength\` | characters, at most 16384 |

## In the token exchange

An entry of \`TLSBOUND_TRUSTED_ISSUERS_FILE\` takes a name of the table. Of the profile, \`typ\`, scope and algorithms apply, and the
rejection of other tokens. A subject token needs \`sub\` and \`iat\`, and may be without \`cnf\`: it becomes a bound one
([exchange tokens](../how-to/exchange-tokens.md)).

[Protect your API](../how-to/protect-your-api.md) shows how to use a profile.
`
