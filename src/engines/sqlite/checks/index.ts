import { foreignKeys } from "./foreign-keys.ts";
import { freePages } from "./free-pages.ts";
import { fullText } from "./full-text.ts";
import { integrity } from "./integrity.ts";
import { locked } from "./locked.ts";
import type { SqliteCheck } from "./look.ts";
import { mode } from "./mode.ts";
import { network } from "./network.ts";
import { owner } from "./owner.ts";
import { readOnly } from "./read-only.ts";
import { plannerStatistics } from "./statistics.ts";
import { walGrowth } from "./wal.ts";

/** All checks of SQLite, in the order in which they run. */
export const sqliteChecks: readonly SqliteCheck[] = [
  integrity,
  locked,
  readOnly,
  fullText,
  foreignKeys,
  walGrowth,
  freePages,
  plannerStatistics,
  mode,
  owner,
  network,
];
