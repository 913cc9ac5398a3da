/** The schema as text, by pg_dump. */
import type { Call } from "../../call.ts";
import { readTool } from "../../child.ts";
import { requireTools, toolOptions } from "./client-tools.ts";
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
  await requireTools(call, ["pg_dump"], rows[0]!.version, connection.where.address);
  const options = { ...toolOptions(connection.environment()), maxBytes: MAX_BYTES };
  return withoutNoise(await readTool(call, "pg_dump", ARGUMENTS, options));
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
