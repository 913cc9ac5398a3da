import { OpsError } from "../../errors.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import type { Where } from "./config.ts";
import type { Session } from "./session.ts";

/**
 * Makes this transaction the only writer of the memory until it ends: every writer locks the statistics row first.
 * @returns the version of the oldest entry of the index
 * @throws OpsError `integrity` without that row, `failed` for an index that is newer than this program
 */
export async function lockCorpus(session: Session, where: Where): Promise<number> {
  const rows = await session.query<{ version: number }>(
    "SELECT index_version AS version FROM memori_statistics FOR UPDATE",
  );
  if (rows.length !== 1) {
    throw new OpsError({
      code: "integrity",
      engine: "postgres",
      message: `the table memori_statistics has ${rows.length} rows in place of one`,
      hint: "restore the database from a backup",
    });
  }
  const { version } = rows[0]!;
  refuseNewer(version, where);
  return version;
}

/** A newer program indexes other tokens: reading it would miss them, writing would leave entries that it misses. @throws OpsError `failed` */
export function refuseNewer(version: number, { address, database }: Where): void {
  if (version <= INDEX_VERSION) return;
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message:
      `the index of the memory in the database "${database}" of PostgreSQL at ${address} was made by a newer opsctl ` +
      `(index version ${version}, this program makes ${INDEX_VERSION})`,
    hint: "upgrade opsctl",
  });
}
