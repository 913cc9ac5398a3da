import { type Rule, type RuleGroup, share } from "./rule.ts";

/** Figures that are older say nothing of now; cron writes them every minute or every five. */
const STALE_SECONDS = 900;

const STACK: readonly Rule[] = [
  {
    alert: "OpsctlEngineDown",
    expr: () => "opsctl_up == 0",
    for: "2m",
    severity: "critical",
    summary: "{{ $labels.engine }} does not answer on {{ $labels.instance }}",
    description: "A real query failed for two minutes. Run: opsctl health; then: opsctl doctor",
  },
  {
    alert: "OpsctlMetricsStale",
    expr: () => `time() - opsctl_collected_timestamp_seconds > ${STALE_SECONDS}`,
    for: "1m",
    severity: "warning",
    summary: "the metrics of opsctl on {{ $labels.instance }} are {{ $value | humanizeDuration }} old",
    description:
      "No other alert can be trusted: the job that writes the file does not run or fails. Run: opsctl metrics --textfile PATH",
  },
  {
    alert: "OpsctlMetricsMissing",
    expr: () => "absent(opsctl_collected_timestamp_seconds)",
    for: "15m",
    severity: "warning",
    summary: "Prometheus has no metrics of opsctl",
    description:
      "The file is not written, or not where the collector reads it. Run: opsctl metrics --textfile PATH",
  },
  {
    alert: "OpsctlStatisticsFailing",
    expr: () => "opsctl_statistics_success == 0",
    for: "15m",
    severity: "warning",
    summary: "the figures of {{ $labels.engine }} on {{ $labels.instance }} cannot be read",
    description:
      "It answers, but not these questions: its other alerts are silent. Run: opsctl stats {{ $labels.engine }}",
  },
  {
    alert: "OpsctlQueueStuck",
    expr: ({ queue_age }) => `time() - opsctl_queue_oldest_timestamp_seconds > ${queue_age * 60}`,
    for: "5m",
    severity: "warning",
    summary: "a write on {{ $labels.instance }} has waited {{ $value | humanizeDuration }} for its server",
    description:
      "It is safe on this host, but other hosts do not see it. Run: opsctl queue; then: opsctl queue sync",
  },
  {
    alert: "OpsctlQueueRejected",
    expr: () => "opsctl_queue_rejected > 0",
    for: "5m",
    severity: "warning",
    summary: "a server refused {{ $value }} queued writes of {{ $labels.instance }}",
    description: "They will never be delivered as they are. Run: opsctl queue",
  },
  {
    alert: "OpsctlRestoreUnfinished",
    expr: () => "opsctl_restores_unfinished > 0",
    for: "30m",
    severity: "critical",
    summary: "a restore on {{ $labels.instance }} is not over",
    description:
      "If no restore runs, one was broken off and its data may be half replaced. Run: opsctl restore --resume, or: opsctl restore --abort",
  },
];

const BACKUPS: readonly Rule[] = [
  {
    alert: "OpsctlBackupMissing",
    expr: () => "opsctl_backup_last_success_timestamp_seconds == 0",
    for: "1h",
    severity: "warning",
    summary: "{{ $labels.instance }} has no complete and verified archive",
    description: "Whatever is lost now is lost for good. Run: opsctl backup; then: opsctl backup schedule",
  },
  {
    alert: "OpsctlBackupTooOld",
    expr: ({ backup_age }) =>
      `(time() - opsctl_backup_last_success_timestamp_seconds > ${backup_age * 3600}) and opsctl_backup_last_success_timestamp_seconds > 0`,
    for: "10m",
    severity: "warning",
    summary: "the newest good archive of {{ $labels.instance }} is {{ $value | humanizeDuration }} old",
    description:
      "The schedule was missed or its backups fail; a restore would lose all since then. Run: opsctl backup list; then: opsctl backup",
  },
  {
    alert: "OpsctlBackupEngineMissing",
    expr: ({ backup_age }) =>
      `(time() - opsctl_backup_engine_last_success_timestamp_seconds > ${backup_age * 3600}) unless ignoring (engine) time() - opsctl_backup_last_success_timestamp_seconds > ${backup_age * 3600}`,
    for: "1h",
    severity: "warning",
    summary: "{{ $labels.engine }} is in no recent archive of {{ $labels.instance }}",
    description:
      "Others are backed up; its part fails or is left out. Run: opsctl backup list; then: opsctl backup",
  },
  {
    alert: "OpsctlBackupNotDrilled",
    // where there was none the oldest archive has waited for it; without an archive OpsctlBackupMissing says what to do
    expr: ({ drill_age }) =>
      `time() - (opsctl_backup_last_drill_timestamp_seconds or opsctl_backup_oldest_success_timestamp_seconds) > ${drill_age * 86_400}`,
    for: "1h",
    severity: "warning",
    summary: "no archive of {{ $labels.instance }} was restored for a test in time",
    description: "Nobody knows whether its archives come back. Run: opsctl backup drill latest",
  },
];

/** A warning ends where the critical alert begins. */
const between = (metric: string, from: number, below: number) =>
  `(${metric} >= ${share(from)}) < ${share(below)}`;

const HOST: readonly Rule[] = [
  {
    alert: "OpsctlDiskFilling",
    expr: ({ disk_warning, disk_critical }) =>
      between("opsctl_host_disk_used_ratio", disk_warning, disk_critical),
    for: "10m",
    severity: "warning",
    summary:
      "the file system of {{ $labels.path }} on {{ $labels.instance }} is {{ $value | humanizePercentage }} full",
    description: "Databases stop writing when it is full. Run: opsctl health; then: opsctl cleanup --dry-run",
  },
  {
    alert: "OpsctlDiskFull",
    expr: ({ disk_critical }) => `opsctl_host_disk_used_ratio >= ${share(disk_critical)}`,
    for: "2m",
    severity: "critical",
    summary:
      "the file system of {{ $labels.path }} on {{ $labels.instance }} is {{ $value | humanizePercentage }} full",
    description: "Databases are about to stop writing. Run: opsctl cleanup; then: opsctl doctor",
  },
  {
    alert: "OpsctlMemoryHigh",
    expr: ({ memory_warning, memory_critical }) =>
      between("opsctl_host_memory_used_ratio", memory_warning, memory_critical),
    for: "10m",
    severity: "warning",
    summary: "{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use",
    description:
      "The kernel ends the largest process when none is left. Run: opsctl health; then: opsctl doctor",
  },
  {
    alert: "OpsctlMemoryExhausted",
    expr: ({ memory_critical }) => `opsctl_host_memory_used_ratio >= ${share(memory_critical)}`,
    for: "2m",
    severity: "critical",
    summary: "{{ $value | humanizePercentage }} of the memory of {{ $labels.instance }} is in use",
    description: "The kernel is about to end a database. Run: opsctl doctor",
  },
  {
    alert: "OpsctlCpuBusy",
    expr: ({ cpu_busy }) => `opsctl_host_cpu_used_ratio >= ${share(cpu_busy)}`,
    for: "30m",
    severity: "info",
    summary: "the processors of {{ $labels.instance }} are {{ $value | humanizePercentage }} busy",
    description: "Everything takes longer. Run: opsctl stats, which names slow statements",
  },
];

export const HOST_RULES: readonly RuleGroup[] = [
  { name: "opsctl-stack", rules: STACK },
  { name: "opsctl-backup", rules: BACKUPS },
  { name: "opsctl-host", rules: HOST },
];
