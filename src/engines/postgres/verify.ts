import { verificationQuery } from "../../migrate/verification.ts";
import type { Ask } from "./migration-history.ts";

/**
 * Counts of a shipped set; nothing for any other. Indexes are built inside the file's transaction, so there is no wait.
 */
export async function countSet(ask: Ask, set: string): Promise<Record<string, number>> {
  const sql = verificationQuery("postgres", set);
  if (sql === null) return {};
  const rows = await ask<Record<string, number>>(sql);
  return rows[0]!;
}
