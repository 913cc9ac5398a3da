import type { Address } from "./config.ts";

/** Variables of libpq that lead elsewhere, or change what comes back, when the caller happens to have them. */
const FOREIGN =
  "PGHOSTADDR PGSERVICE PGSERVICEFILE PGPASSFILE PGREQUIREPEER PGREQUIREAUTH PGCHANNELBINDING PGSSLCRL PGSSLCRLDIR PGSSLCERTMODE " +
  "PGSSLNEGOTIATION PGSSLSNI PGSSLMINPROTOCOLVERSION PGSSLMAXPROTOCOLVERSION PGKRBSRVNAME PGGSSLIB PGGSSENCMODE PGTARGETSESSIONATTRS " +
  "PGLOADBALANCEHOSTS PGCLIENTENCODING PGDATESTYLE PGTZ PGGEQO PGSYSCONFDIR";

/** Variables with the parameters of a URL that they stand for. */
const FROM_URL = {
  PGOPTIONS: "options",
  PGSSLROOTCERT: "sslrootcert",
  PGSSLCERT: "sslcert",
  PGSSLKEY: "sslkey",
};

/**
 * The PG… variables that lead libpq where an address leads us; undefined: must not be set. TLS is never weaker than ours: what verifies here
 * (`prefer` and `require` too) verifies there.
 */
export function libpqEnvironment(address: Address): Record<string, string | undefined> {
  const { host, port, user, password, database, parameters } = address;
  const mode = host.startsWith("/") ? "disable" : sslMode(parameters.get("sslmode") ?? "disable");
  const fromUrl = Object.entries(FROM_URL).map(([variable, parameter]) => [
    variable,
    parameters.get(parameter),
  ]);
  const variables: Record<string, string | undefined> = {
    ...Object.fromEntries(FOREIGN.split(" ").map((name) => [name, undefined])),
    ...Object.fromEntries(fromUrl.map(([variable, value]) => [variable, value ?? undefined])),
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGAPPNAME: "opsctl",
    PGSSLMODE: mode,
  };
  if (mode === "verify-full") variables.PGSSLROOTCERT ??= "system";
  return variables;
}

function sslMode(mode: string): string {
  if (mode === "no-verify") return "require";
  if (mode === "allow") return "disable";
  return mode === "prefer" || mode === "require" ? "verify-full" : mode;
}
