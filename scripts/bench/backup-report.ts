/** Measured backups as rows of a table. */
import type { Usage } from "./backup-measure.ts";
import { median } from "./lib/processes.ts";
import { markdownTable } from "./lib/table.ts";

export interface Measured {
  name: string;
  goal?: string;
  /** One a round, in the order of the rounds; bytes: what was written, or read. */
  runs: (Usage & { bytes: number })[];
}

/** Table with a row for each program; ratios are to the first one. */
export function reportTable(title: string, measured: readonly Measured[], bytesTitle = "written"): string {
  const header = [
    title,
    "median",
    "min to max",
    "ratio",
    "of each round",
    "processor time",
    "memory",
    "with children",
    bytesTitle,
    "goal",
  ];
  const rows = measured.map((one) => [one.name, ...cells(one, measured[0]!), one.goal ?? ""]);
  return markdownTable(header, rows);
}

function cells({ runs }: Measured, base: Measured): string[] {
  const times = runs.map(({ ms }) => ms);
  // of the same round: whatever else the machine does meets both
  const ratios = runs.map(({ ms }, round) => ms / base.runs[round]!.ms);
  const ratio = median(times) / median(base.runs.map(({ ms }) => ms));
  return [
    seconds(median(times)),
    `${seconds(Math.min(...times))} to ${seconds(Math.max(...times))}`,
    `${ratio.toFixed(2)} ×`,
    `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    seconds(median(runs.map(({ cpuMs }) => cpuMs))),
    megabytes(Math.max(...runs.map(({ ownBytes }) => ownBytes))),
    megabytes(Math.max(...runs.map(({ allBytes }) => allBytes))),
    megabytes(median(runs.map(({ bytes }) => bytes))),
  ];
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString("en")} MB`;
}
