/** The checks beside the engines, in the order in which their findings are listed. Groups run side by side, the checks of one after another. */
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { backupDamaged } from "./backup-damaged.ts";
import { backupDrillOld, backupNeverDrilled } from "./backup-drill.ts";
import { backupEngineMissing } from "./backup-engine-missing.ts";
import { backupFolderMode } from "./backup-folder-mode.ts";
import { backupIncomplete } from "./backup-incomplete.ts";
import { backupNone } from "./backup-none.ts";
import { backupSameDisk } from "./backup-same-disk.ts";
import { backupScheduleMissed } from "./backup-schedule.ts";
import { backupSpools } from "./backup-spools.ts";
import { backupTooOld } from "./backup-too-old.ts";
import { backupUnencrypted } from "./backup-unencrypted.ts";
import { backupUnsigned } from "./backup-unsigned.ts";
import { backupUnverified } from "./backup-unverified.ts";
import { connectionAddress } from "./connection-address.ts";
import { connectionAuthentication } from "./connection-authentication.ts";
import { connectionDns } from "./connection-dns.ts";
import { connectionLatency } from "./connection-latency.ts";
import { connectionProtocol } from "./connection-protocol.ts";
import { connectionRefused } from "./connection-refused.ts";
import { connectionTls } from "./connection-tls.ts";
import { connectionUnavailable } from "./connection-unavailable.ts";
import { connectionUnreachable } from "./connection-unreachable.ts";
import { hostChecks } from "./host.ts";
import { migrationBroken } from "./migration-broken.ts";
import { migrationEdited } from "./migration-edited.ts";
import { queueRejected } from "./queue-rejected.ts";
import { queueWaiting } from "./queue-waiting.ts";
import { restoreUndoKept } from "./restore-undo-kept.ts";
import { restoreUnfinished } from "./restore-unfinished.ts";
import { schemaBehind } from "./schema-behind.ts";
import { schemaMissing } from "./schema-missing.ts";
import { schemaNewer } from "./schema-newer.ts";

/** Why an engine does not answer: wherever one is asked for that is silent, these run too. */
export const connectionChecks: readonly Check<StackScope>[] = [
  connectionDns,
  connectionRefused,
  connectionAddress,
  connectionUnreachable,
  connectionProtocol,
  connectionTls,
  connectionAuthentication,
  connectionUnavailable,
  connectionLatency,
];

const schemaChecks: readonly Check<StackScope>[] = [
  schemaMissing,
  schemaBehind,
  schemaNewer,
  migrationBroken,
  migrationEdited,
  queueWaiting,
  queueRejected,
];

const backupChecks: readonly Check<StackScope>[] = [
  restoreUnfinished,
  restoreUndoKept,
  backupNone,
  backupTooOld,
  backupEngineMissing,
  backupIncomplete,
  backupUnverified,
  backupDamaged,
  backupNeverDrilled,
  backupDrillOld,
  backupScheduleMissed,
  backupFolderMode,
  backupSpools,
  backupSameDisk,
  backupUnsigned,
  backupUnencrypted,
];

/** Docker may take its time to say that it is not there. */
const isDocker = ({ area }: Check<StackScope>) => area === "docker";

export const stackGroups: readonly (readonly Check<StackScope>[])[] = [
  connectionChecks,
  schemaChecks,
  backupChecks,
  hostChecks.filter((check) => !isDocker(check)),
  hostChecks.filter(isDocker),
];
