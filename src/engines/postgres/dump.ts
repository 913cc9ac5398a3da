/** The schema as text, by pg_dump. */
import { execa } from "execa";
import { abortError, type Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { PostgresConnection } from "./connect.ts";

const ARGUMENTS = [
  "--schema-only",
  "--no-password",
  "--lock-wait-timeout=10s",
  "--exclude-table=*.opsctl_migrations",
];
const MAX_BYTES = 1 << 28;

/**
 * What pg_dump says of the schema, the same for the same schema: without the versions of programs, and without the random key of
 * `\restrict`, which only psql knows.
 * @throws OpsError `failed` when pg_dump is missing, older than the server, or fails
 */
export async function dumpSchema(connection: PostgresConnection, call: Call): Promise<string> {
  const rows = await connection.query<{ version: number }>(
    call,
    "SELECT current_setting('server_version_num')::int / 10000 AS version",
  );
  await requireVersion(connection, call, rows[0]!.version);
  const { stdout } = await pgDump(connection, call, ARGUMENTS);
  return withoutNoise(stdout);
}

function withoutNoise(text: string): string {
  const key = /^\\restrict (\S+)$/m.exec(text)?.[1];
  const noise = new Set([`\\restrict ${key}`, `\\unrestrict ${key}`]);
  const kept = text
    .replace(/^-- Dumped (?:from database|by pg_dump) version .*\n/gm, "")
    .split("\n")
    .filter((line) => !noise.has(line));
  return `${kept.join("\n").trim()}\n`;
}

/** pg_dump refuses a server that is newer than itself; its message names neither what to install nor which one was found. */
async function requireVersion(connection: PostgresConnection, call: Call, server: number): Promise<void> {
  const { stdout } = await pgDump(connection, call, ["--version"]);
  const own = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? 0);
  if (own >= server) return;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `pg_dump is version ${own}, and the server at ${connection.where.address} is version ${server}`,
    hint: `install the client programs of PostgreSQL ${server} and put them first on PATH`,
  });
}

async function pgDump(connection: PostgresConnection, call: Call, args: readonly string[]) {
  const result = await execa("pg_dump", args, {
    // the password travels by environment
    env: { LC_ALL: "C", ...connection.environment() },
    stdin: "ignore",
    cancelSignal: call.signal,
    maxBuffer: MAX_BYTES,
    reject: false,
    stripFinalNewline: false,
  });
  if (call.signal.aborted) throw abortError(call.signal.reason);
  if (!result.failed) return result;
  const isMissing = result.exitCode === undefined;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: isMissing
      ? "pg_dump cannot be run: it is not on PATH"
      : `pg_dump failed: ${result.stderr.trim().split("\n").at(-1)}`,
    hint: "install the client programs of PostgreSQL (Debian: postgresql-client) and put them on PATH",
  });
}
