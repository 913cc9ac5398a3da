import { type Family, familiesOf, points, type Snapshot, seconds } from "./family.ts";

const all = familiesOf((snapshot) => snapshot);
const engines = familiesOf(({ health }) =>
  health.engines.filter(({ status }) => status !== "not configured"),
);
const archives = familiesOf((snapshot) => snapshot.archives);
const memory = familiesOf((snapshot) => snapshot.memory);
const queue = familiesOf((snapshot) => snapshot.queue);
const operations = familiesOf((snapshot) => snapshot.operations);

const engineOf = ({ engine }: { engine: string }) => ({ engine });
const commandOf = ({ command }: { command: string }) => ({ command });
/** Engines that answer, with their figures. */
const figuresOf = ({ health, figures }: Snapshot) =>
  health.engines
    .filter(({ engine, status }) => status === "connected" || figures[engine] !== null)
    .map(({ engine }) => ({ engine, figures: figures[engine] }));

/** The stack as a whole, what opsctl keeps and what it did. */
export const STACK_FAMILIES: readonly Family[] = [
  all.define("gauge", "opsctl_build_info", "The opsctl that wrote this.", ["version"], ({ version }) => [
    { labels: { version }, value: 1 },
  ]),
  all.gauge("opsctl_collected_timestamp_seconds", "When these figures were read, Unix time.", ({ at }) =>
    seconds(at),
  ),
  all.gauge(
    "opsctl_collect_duration_seconds",
    "How long reading them took.",
    ({ duration_ms }) => duration_ms / 1000,
  ),
  engines.define(
    "gauge",
    "opsctl_up",
    "Whether a configured engine answers a real query (1) or not (0).",
    ["engine"],
    (rows) => points(rows, engineOf, ({ status }) => status === "connected"),
  ),
  engines.define(
    "gauge",
    "opsctl_engine_info",
    "Version of an engine that answers.",
    ["engine", "version"],
    (rows) =>
      points(
        rows.filter(({ version }) => version !== null),
        ({ engine, version }) => ({ engine, version: version! }),
        () => 1,
      ),
  ),
  engines.define(
    "gauge",
    "opsctl_probe_duration_seconds",
    "Round trip of one trivial query.",
    ["engine"],
    (rows) => points(rows, engineOf, ({ latency_ms }) => (latency_ms === null ? null : latency_ms / 1000)),
  ),
  all.define(
    "gauge",
    "opsctl_statistics_success",
    "Whether the figures of an engine that answers could be read (1) or not (0).",
    ["engine"],
    (snapshot) => points(figuresOf(snapshot), engineOf, ({ figures }) => figures !== null),
  ),
  all.define(
    "gauge",
    "opsctl_statistics_unknown",
    "Figures of an engine that its user may not see, or that its edition does not have; opsctl stats names them.",
    ["engine"],
    (snapshot) => points(figuresOf(snapshot), engineOf, ({ figures }) => figures?.unknown.length ?? null),
  ),
  all.define(
    "gauge",
    "opsctl_file_size_bytes",
    "Size of a SQLite file of this host, with its write-ahead log.",
    ["file"],
    ({ files }) =>
      points(
        files,
        ({ name }) => ({ file: name }),
        ({ size_bytes }) => size_bytes,
      ),
  ),
  archives.gauge("opsctl_backups", "Archives in the folder of archives.", ({ count }) => count),
  archives.gauge("opsctl_backups_size_bytes", "Size of all archives.", ({ size_bytes }) => size_bytes),
  archives.gauge(
    "opsctl_backup_size_bytes",
    "Size of the newest complete and verified archive.",
    ({ newest }) => newest?.size_bytes ?? null,
  ),
  archives.gauge(
    "opsctl_backup_last_success_timestamp_seconds",
    "Unix time at which the newest complete and verified archive was begun; 0: there is none.",
    ({ newest }) => (newest === null ? 0 : seconds(newest.created_at_ms)),
  ),
  archives.define(
    "gauge",
    "opsctl_backup_engine_last_success_timestamp_seconds",
    "The same of the newest one that holds an engine; 0: none does.",
    ["engine"],
    ({ engines: held }) => points(held, engineOf, ({ at_ms }) => seconds(at_ms) ?? 0),
  ),
  archives.gauge(
    "opsctl_backup_oldest_success_timestamp_seconds",
    "Unix time at which the oldest complete and verified archive was begun; absent: there is none.",
    ({ oldest_at_ms }) => seconds(oldest_at_ms),
  ),
  archives.gauge(
    "opsctl_backup_last_drill_timestamp_seconds",
    "Unix time of the last drill that restored a whole archive; absent: there was none.",
    ({ drilled_at_ms }) => seconds(drilled_at_ms),
  ),
  queue.gauge("opsctl_queue_waiting", "Writes that wait for a server.", ({ waiting }) => waiting),
  queue.gauge("opsctl_queue_rejected", "Writes that a server refused.", ({ rejected }) => rejected),
  queue.gauge(
    "opsctl_queue_oldest_timestamp_seconds",
    "Unix time of the oldest write that waits for a server; absent: none waits.",
    ({ oldest_at_ms }) => seconds(oldest_at_ms),
  ),
  all.gauge(
    "opsctl_restores_unfinished",
    "Restores that are not over: running, or broken off.",
    (snapshot) => snapshot.restores_unfinished,
  ),
  memory.gauge("opsctl_memory_records", "Records of the incident memory.", ({ records }) => records),
  memory.gauge("opsctl_memory_fixes", "Records that are fixes of an issue.", ({ fixes }) => fixes),
  memory.gauge("opsctl_memory_issues", "Issues that are remembered.", ({ issues }) => issues),
  memory.gauge("opsctl_memory_events", "Events of the incident memory.", ({ events }) => events),
  memory.gauge("opsctl_memory_agents", "Registered agents.", ({ agents }) => agents),
  memory.define(
    "untyped",
    "dashboard_agents_total",
    "Registered agents: the guides' name; it can go down, opsctl_memory_agents is the same by convention.",
    [],
    ({ agents }) => [{ labels: {}, value: agents }],
  ),
  operations.gauge(
    "opsctl_operations_since_timestamp_seconds",
    "Unix time of the oldest run in the log of operations, which loses its oldest part when it is rotated or cleaned.",
    ({ since }) => seconds(since),
  ),
  operations.define(
    "gauge",
    "opsctl_operations",
    "Runs of opsctl on this host by command, since opsctl_operations_since_timestamp_seconds.",
    ["command"],
    ({ commands }) => points(commands, commandOf, ({ count }) => count),
  ),
  operations.define(
    "gauge",
    "opsctl_operation_errors",
    "Those that failed, since opsctl_operations_since_timestamp_seconds.",
    ["command"],
    ({ commands }) => points(commands, commandOf, ({ errors }) => errors),
  ),
  operations.define(
    "gauge",
    "opsctl_operation_duration_mean_seconds",
    "How long they took on average, since opsctl_operations_since_timestamp_seconds.",
    ["command"],
    ({ commands }) => points(commands, commandOf, ({ mean_ms }) => mean_ms / 1000),
  ),
];
