import type { DiskReading } from "../host.ts";
import { type Family, familiesOf, points, type Snapshot } from "./family.ts";

const { define, gauge } = familiesOf(({ health }) => health.checks);

const disks = (name: string, help: string, read: (disk: DiskReading) => number | null): Family =>
  define("gauge", name, help, ["path"], ({ disk }) => points(disk.disks, ({ path }) => ({ path }), read));

const load = ({ cpu }: Snapshot["health"]["checks"]) => [
  { labels: { period: "1m" }, value: cpu.load_1m },
  { labels: { period: "5m" }, value: cpu.load_5m },
  { labels: { period: "15m" }, value: cpu.load_15m },
];

/** The host, and the names that the guides' dashboard gives to its figures. */
export const HOST_FAMILIES: readonly Family[] = [
  disks("opsctl_host_disk_size_bytes", "Size of the file system of a data path.", (disk) => disk.total_bytes),
  disks(
    "opsctl_host_disk_used_bytes",
    "Bytes in use on the file system of a data path.",
    (disk) => disk.used_bytes,
  ),
  disks(
    "opsctl_host_disk_available_bytes",
    "Bytes that an unprivileged user can still write to the file system of a data path.",
    (disk) => disk.free_bytes,
  ),
  disks(
    "opsctl_host_disk_used_ratio",
    "Share of the file system of a data path that is in use, as df counts it.",
    (disk) => share(disk.usage_percent),
  ),
  gauge("opsctl_host_memory_size_bytes", "Memory of the host.", ({ memory }) => memory.total_bytes),
  gauge(
    "opsctl_host_memory_available_bytes",
    "Memory of the host that programs can still get without swapping.",
    ({ memory }) => memory.available_bytes,
  ),
  gauge("opsctl_host_memory_used_ratio", "Share of the host's memory that is in use.", ({ memory }) =>
    share(memory.usage_percent),
  ),
  gauge("opsctl_host_cpu_used_ratio", "Share of the processors in use while this was read.", ({ cpu }) =>
    share(cpu.usage_percent),
  ),
  gauge("opsctl_host_cpus", "Processors of the host.", ({ cpu }) => cpu.cores),
  define("gauge", "opsctl_host_load_average", "Load average of the host.", ["period"], load),
  gauge(
    "dashboard_disk_usage_bytes",
    "Bytes in use on the fullest file system with data; opsctl_host_disk_used_bytes has each.",
    ({ disk }) => disk.used_bytes,
  ),
  gauge(
    "dashboard_memory_usage_bytes",
    "Memory of the host that is in use.",
    ({ memory }) => memory.total_bytes - memory.available_bytes,
  ),
  gauge(
    "dashboard_cpu_usage_percent",
    "Processors in use, in percent: the guides' name and unit; opsctl_host_cpu_used_ratio is the same in base units.",
    ({ cpu }) => cpu.usage_percent,
  ),
];

function share(percent: number | null): number | null {
  return percent === null ? null : percent / 100;
}
