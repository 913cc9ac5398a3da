import type { Neo4jCheck } from "./common.ts";
import { constraintMissing } from "./constraint-missing.ts";
import { duplicateKey } from "./duplicate-key.ts";
import { indexFailed } from "./index-failed.ts";
import { indexPopulating } from "./index-populating.ts";
import { leftovers, restoreMarker } from "./leftovers.ts";
import { lookupIndex } from "./lookup-index.ts";
import { heapUse, memorySettings, pageCache } from "./memory.ts";
import { memoryIndex } from "./memory-index.ts";
import { authDisabled, boltUnencrypted, httpExposed } from "./network.ts";
import { queryLog, readOnly, transactionTimeout, unrestrictedProcedures } from "./settings.ts";
import { blockedTransaction, slowTransaction } from "./transactions.ts";
import { unusedIndex } from "./unused-index.ts";

/** All checks of Neo4j, in the order in which they run. */
export const neo4jChecks: readonly Neo4jCheck[] = [
  restoreMarker,
  readOnly,
  indexFailed,
  indexPopulating,
  lookupIndex,
  // before the constraint: it cannot be created while nodes share a key
  duplicateKey,
  constraintMissing,
  unusedIndex,
  memoryIndex,
  blockedTransaction,
  slowTransaction,
  heapUse,
  pageCache,
  memorySettings,
  transactionTimeout,
  queryLog,
  authDisabled,
  boltUnencrypted,
  httpExposed,
  unrestrictedProcedures,
  leftovers,
];
