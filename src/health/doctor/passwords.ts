/** What makes a password easy to guess. */

/** As they stand in images, guides and lists of the most used; in lower case. */
const WELL_KNOWN = new Set(
  `123456 12345678 123456789 1234567890 abc123 admin admin123 administrator bitnami changeit changeme changethis database
   db default demo dev development docker example foobar foobared guest hunter2 iloveyou letmein master monkey neo4j neo4jpassword opsctl p@ssw0rd
   pass passw0rd password password1 password123 pconfig pg postgres postgresql postgrespassword qwerty qwerty123 redis redispassword root s3cret
   secret sesame superuser supersecret test test123 testing user welcome welcome1`.split(/\s+/),
);
/** Of examples that ask to be replaced, and of the guides: `your_secure_password`, `esab_redis_password`, `<password>`. */
const PLACEHOLDERS = [
  /^(your|my|some|the|a|an|new|old|enter|insert)[-_ ]?.*(password|passwd|pass|secret|pw)$/,
  /^[a-z]+[-_](neo4j|postgres|postgresql|redis|db|database)[-_](password|pass|pw)$/,
  /^(neo4j|postgres|postgresql|redis|db|database|root|admin|test)[-_]?(password|pass|pw|secret)\d*$/,
  /^change[-_ ]?(me|this|it)\b/,
  /^replace[-_ ]?(me|this|with)/,
  /^<.*>$/,
  /^\$\{?\w+\}?$/,
  /^x+$|^\*+$/,
];
/** A password of fewer different characters is a pattern: one of 20 random hexadecimal digits has twice as many. */
const FEW_DIFFERENT = 6;

export type Weakness = "well-known" | "pattern" | "short";

/**
 * Why a password is weak; undefined: it is not.
 * @param names what anybody would try first: user, database, host
 */
export function weaknessOf(
  password: string,
  minLength: number,
  names: readonly string[],
): Weakness | undefined {
  const lower = password.toLowerCase();
  if (WELL_KNOWN.has(lower) || PLACEHOLDERS.some((pattern) => pattern.test(lower))) return "well-known";
  if (names.some((name) => name !== "" && name.toLowerCase() === lower)) return "well-known";
  const characters = [...password];
  if (characters.length < minLength) return "short";
  return new Set(characters).size < FEW_DIFFERENT ? "pattern" : undefined;
}
