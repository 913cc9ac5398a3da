import { aofFailed } from "./aof-failed.ts";
import { backlog } from "./backlog.ts";
import { clientBuffers } from "./client-buffers.ts";
import { clientsFull } from "./clients-full.ts";
import { dangerousCommands } from "./dangerous-commands.ts";
import { evictionPolicy } from "./eviction-policy.ts";
import { evictions } from "./evictions.ts";
import { exposed } from "./exposed.ts";
import type { RedisCheck } from "./facts.ts";
import { fragmentation } from "./fragmentation.ts";
import { hitRate } from "./hit-rate.ts";
import { hugepages } from "./hugepages.ts";
import { latency } from "./latency.ts";
import { memoryLimit } from "./memory-limit.ts";
import { noPassword } from "./no-password.ts";
import { noTimeToLive } from "./no-ttl.ts";
import { overcommit } from "./overcommit.ts";
import { persistenceOff } from "./persistence-off.ts";
import { replicaLink } from "./replica-link.ts";
import { replicationLag } from "./replication-lag.ts";
import { settingsDrift } from "./settings-drift.ts";
import { slowlog } from "./slowlog.ts";
import { snapshotFailed } from "./snapshot-failed.ts";
import { snapshotStale } from "./snapshot-stale.ts";
import { swap } from "./swap.ts";
import { version } from "./version.ts";

/** All checks of Redis, in the order in which they run. */
export const redisChecks: readonly RedisCheck[] = [
  snapshotFailed,
  aofFailed,
  replicaLink,
  memoryLimit,
  evictionPolicy,
  noPassword,
  exposed,
  dangerousCommands,
  persistenceOff,
  snapshotStale,
  replicationLag,
  clientsFull,
  clientBuffers,
  slowlog,
  latency,
  fragmentation,
  swap,
  overcommit,
  hugepages,
  backlog,
  noTimeToLive,
  hitRate,
  evictions,
  settingsDrift,
  version,
];
