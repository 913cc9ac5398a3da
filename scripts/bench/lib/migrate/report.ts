/** Measured tools as rows of a table. */
import { median } from "../processes.ts";
import { markdownTable } from "../table.ts";
import type { Measured } from "./measure.ts";

/** Table with a row for each tool; ratios are to the one named `reference`. */
export function reportTable(
  title: string,
  measured: readonly Measured[],
  reference: string,
  goals: Readonly<Record<string, string>> = {},
  missing: readonly string[] = [],
): string {
  const base = measured.find(({ name }) => name === reference)!;
  const header = [
    title,
    "median",
    "min to max",
    "ratio",
    "of each round",
    "of the fastest",
    "processor time",
    "round trips",
    "goal",
  ];
  const rows = measured.map((one) => [one.name, ...cells(one, base), goals[one.name] ?? ""]);
  const blank = missing.map((name) => [name, "not to be had here", ...header.slice(2).map(() => "")]);
  return markdownTable(header, [...rows, ...blank]);
}

function cells({ timings, roundTrips }: Measured, base: Measured): string[] {
  const times = timings.map(({ ms }) => ms);
  // of the same round: whatever else the machine does meets both
  const ratios = timings.map(({ ms }, round) => ms / base.timings[round]!.ms);
  const ratio = median(times) / median(base.timings.map(({ ms }) => ms));
  const fastest = Math.min(...times) / Math.min(...base.timings.map(({ ms }) => ms));
  const cpu = timings.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / timings.length;
  return [
    milliseconds(median(times)),
    `${milliseconds(Math.min(...times))} to ${milliseconds(Math.max(...times))}`,
    `${ratio.toFixed(2)} ×`,
    `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    `${fastest.toFixed(2)} ×`,
    Number.isNaN(cpu) ? "" : milliseconds(cpu),
    Number.isNaN(roundTrips) ? "" : roundTrips.toLocaleString("en"),
  ];
}

function milliseconds(ms: number): string {
  return `${Math.round(ms).toLocaleString("en")} ms`;
}
