/** Names under which opsctl keeps what it needs on a server. No migration may touch them. */

/** Keys of opsctl's own begin with this. */
export const OWN_KEYS = "opsctl:migrations:";

/** Where the history of a database is when the server has no function libraries. */
export function historyKey(database: number): string {
  return `${OWN_KEYS}${database}`;
}

/** The library of a database's history, and the function in it that returns it. A server's libraries serve all its databases. */
export function historyLibrary(database: number): string {
  return `opsctl_migrations_${database}`;
}

export const OWN_LIBRARY = /^opsctl_migrations(_\d+)?$/i;

export function isOwnKey(key: Buffer): boolean {
  return key.subarray(0, OWN_KEYS.length).toString("latin1") === OWN_KEYS;
}
