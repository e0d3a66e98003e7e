// What is known of each detail.

export interface DetailEntry {
  /** The cause, in one sentence. `{name}` is replaced by a fact. */
  readonly cause: string
  /** How the operator of the server or of the client can fix it. */
  readonly remedy: string
  /**
   * Whether `error_description` contains the cause and the remedy. Only for causes in the form of the client's own request or
   * its own certificate, so that the text does not help an attacker.
   */
  readonly isPublic?: true
  /**
   * The sentence for the client in place of the one of the reason, where that is false for this detail. It must not help an
   * attacker more than the reason does.
   */
  readonly sentence?: string
  /** Who can fix it. Default: as `actors` says for the reason. */
  readonly actor?: Actor
  /** Default `fault`. */
  readonly sign?: Sign
}

type Party = 'client' | 'operator' | 'developer' | 'issuer' | 'reporter'

/**
 * Who can fix the cause: the operator of the client, the operator of this server, the developer of the program that embeds
 * it, the issuer of the token, or the reporter of leaked tokens.
 */
export type Actor = Party | `${Party} or ${Party}`

/**
 * `attack`: may be a sign of an attack, so find out first who sent the request. `fault`: a mistake in a program, a setting or a
 * certificate, or an outage. `routine`: expected in normal operation, such as an expired token.
 */
export type Sign = 'attack' | 'fault' | 'routine'
