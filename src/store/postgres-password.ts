// The password of a connection to PostgreSQL. A file of its own, so that the package's types do not need those of pg.

/** The database that a connection leads to. */
export interface PostgresTarget {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
}

/** Finds the password when the database asks for it. Its error ends the connection. */
export type FindPassword = (target: PostgresTarget) => string | Promise<string>
