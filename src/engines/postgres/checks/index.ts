import { autovacuumOff } from "./autovacuum-off.ts";
import { bloat } from "./bloat.ts";
import { blocked } from "./blocked.ts";
import { cacheHit } from "./cache-hit.ts";
import { checkpoint } from "./checkpoint.ts";
import { collationVersion } from "./collation-version.ts";
import { connections } from "./connections.ts";
import { dataChecksums } from "./data-checksums.ts";
import { deadRows } from "./dead-rows.ts";
import { deadlocks } from "./deadlocks.ts";
import { duplicateIndex } from "./duplicate-index.ts";
import { foreignKeyIndex } from "./foreign-key-index.ts";
import { fsyncOff } from "./fsync-off.ts";
import { fullPageWritesOff } from "./full-page-writes-off.ts";
import { hbaTrust } from "./hba-trust.ts";
import { idleInTransaction } from "./idle-in-transaction.ts";
import { invalidConstraint } from "./invalid-constraint.ts";
import { invalidIndex } from "./invalid-index.ts";
import type { PostgresCheck } from "./kit.ts";
import { leftoverDatabases } from "./leftover-databases.ts";
import { listenAddress } from "./listen-address.ts";
import { longTransaction } from "./long-transaction.ts";
import { memorySettings } from "./memory-settings.ts";
import { missingIndex } from "./missing-index.ts";
import { multixact } from "./multixact.ts";
import { outdatedExtension } from "./outdated-extension.ts";
import { passwordEncryption } from "./password-encryption.ts";
import { preparedTransaction } from "./prepared-transaction.ts";
import { publicSchemaCreate } from "./public-schema-create.ts";
import { replicaLag } from "./replica-lag.ts";
import { replicationSlot } from "./replication-slot.ts";
import { sequenceExhaustion } from "./sequence-exhaustion.ts";
import { slowLog } from "./slow-log.ts";
import { slowStatements } from "./slow-statements.ts";
import { sslOff } from "./ssl-off.ts";
import { staleStatistics } from "./stale-statistics.ts";
import { superuser } from "./superuser.ts";
import { tempFiles } from "./temp-files.ts";
import { unusedIndex } from "./unused-index.ts";
import { vectorExtension } from "./vector-extension.ts";
import { wraparound } from "./wraparound.ts";

/** All checks of PostgreSQL, in the order in which they run: what is at risk first. */
export const postgresChecks: readonly PostgresCheck[] = [
  fsyncOff,
  fullPageWritesOff,
  wraparound,
  multixact,
  connections,
  blocked,
  idleInTransaction,
  longTransaction,
  preparedTransaction,
  replicationSlot,
  replicaLag,
  sequenceExhaustion,
  invalidIndex,
  invalidConstraint,
  collationVersion,
  hbaTrust,
  listenAddress,
  sslOff,
  publicSchemaCreate,
  passwordEncryption,
  superuser,
  autovacuumOff,
  deadRows,
  staleStatistics,
  bloat,
  missingIndex,
  foreignKeyIndex,
  duplicateIndex,
  unusedIndex,
  cacheHit,
  memorySettings,
  checkpoint,
  tempFiles,
  slowStatements,
  slowLog,
  deadlocks,
  dataChecksums,
  vectorExtension,
  outdatedExtension,
  leftoverDatabases,
];
