import type { GenericSchema } from "valibot";
import * as backup from "./backup.ts";
import { drilledBackup } from "./backup-drill.ts";
import * as archives from "./backup-list.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { verifiedBackups } from "./backup-verify.ts";
import * as doctor from "./doctor.ts";
import * as memory from "./memory.ts";
import * as migrate from "./migrate.ts";
import * as operations from "./operations.ts";
import * as recall from "./recall.ts";
import * as restore from "./restore.ts";
import { stats } from "./stats.ts";
import { migratedVolumes } from "./volumes.ts";

/** The object that each command prints with `--json`. Streaming commands print one such line per answer. */
export const CONTRACTS: Readonly<Record<string, GenericSchema>> = {
  init: operations.initialized,
  "init --list": operations.setList,
  "register-agent": memory.registeredAgent,
  agents: memory.agents,
  "agents heartbeat": memory.registeredAgent,
  remember: memory.remembered,
  recall: recall.recalled,
  "recall --best": recall.bestFix,
  fixes: memory.fixes,
  "fixes show": memory.shownFix,
  "fixes similar": memory.similarIssues,
  "fixes patterns": memory.patterns,
  "fixes timeline": memory.timeline,
  "fixes success-rate": memory.successRate,
  "fixes forget": memory.forgotten,
  "fixes import": memory.imported,
  migrate: migrate.migrationStatus,
  "migrate up": migrate.migrated,
  "migrate down": migrate.migrated,
  "migrate redo": migrate.migrated,
  "migrate status": migrate.migrationStatus,
  "migrate history": migrate.migrationHistory,
  "migrate new": migrate.newMigration,
  "migrate verify": migrate.verifiedMigrations,
  "migrate baseline": migrate.baselined,
  "migrate repair": migrate.repaired,
  "migrate dump": migrate.dumped,
  backup: backup.madeBackup,
  "backup list": archives.backupList,
  "backup show": archives.shownBackup,
  "backup verify": verifiedBackups,
  "backup drill": drilledBackup,
  "backup diff": archives.backupDiff,
  "backup grants": backup.backupGrants,
  "backup schedule": backupSchedule,
  restore: archives.backupList,
  "restore NAME": restore.restored,
  "restore --rollback": restore.undoneRestore,
  "restore --forget": restore.forgottenRestores,
  "migrate-volumes": migratedVolumes,
  cleanup: archives.cleanedUp,
  stats,
  health: operations.health,
  doctor: doctor.diagnosis,
  "doctor --list": doctor.checkList,
  "metrics --textfile": doctor.writtenMetrics,
  wait: doctor.waited,
  maintain: doctor.maintained,
  query: doctor.queried,
  queue: operations.queue,
  "queue sync": operations.synced,
  "queue drop": operations.dropped,
  env: operations.environment,
  "errors (stderr)": operations.failure,
};
