/**
 * What each tuned constant of the ranking earns: all five ways asked with one of them changed. A constant is changed in the source text of
 * src/memory/tuning.ts while a process of its own loads it, so that the program needs no switches for it.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as tuning from "../../../../src/memory/tuning.ts";
import { markdownTable } from "../table.ts";
import { figure, signed } from "./quality.ts";
import { WAYS } from "./ways.ts";

const CHILD = join(import.meta.dirname, "ablation-child.ts");

interface Variant {
  name: string;
  /** Name of a constant or of a signal, and its value. */
  change?: readonly [string, number];
}

const signals = Object.keys(tuning.WEIGHTS);
const VARIANTS: readonly Variant[] = [
  { name: "all" },
  ...signals.map((signal): Variant => ({ name: `without ${signal}`, change: [signal, 0] })),
  { name: "without the success multiplier", change: ["SUCCESS_REACH", 0] },
  ...values("pool of", "POOL_SIZE", tuning.POOL_SIZE, [25, 50, 100, 200, 500]),
  ...values("terms sent:", "MAX_SENT_TERMS", tuning.MAX_SENT_TERMS, [4, 8, 12, 16, 24, 32]),
  ...values("row budget", "ROW_BUDGET", tuning.ROW_BUDGET, [300, 1000, 3000, 10_000]),
  ...values("terms that rank:", "MAX_RANKED_TERMS", tuning.MAX_RANKED_TERMS, [8, 16, 32, 64]),
  ...values("title ×", "TITLE_WEIGHT", tuning.TITLE_WEIGHT, [1, 2, 3, 5]),
  ...values("k1", "K1", tuning.K1, [0.9, 1.2, 1.5]),
  ...values("b", "B", tuning.B, [0.5, 0.75, 0.9]),
];

/** One row a change: nDCG@10 of each way, their mean, and what the change made of it. */
export async function ablationTable(): Promise<string> {
  const rows: string[][] = [];
  let baseline = 0;
  for (const { name, change } of VARIANTS) {
    const figures = await measure(change);
    const mean = figures.reduce((sum, value) => sum + value, 0) / figures.length;
    if (!change) baseline = mean;
    rows.push([name, ...figures.map(figure), figure(mean), change ? signed(mean - baseline) : ""]);
  }
  return markdownTable(["nDCG@10", ...WAYS.map((way) => way.name), "mean", "change"], rows);
}

/** The values around the one that is in use, without that one. */
function values(label: string, name: string, own: number, all: readonly number[]): Variant[] {
  return all
    .filter((value) => value !== own)
    .map((value) => ({ name: `${label} ${value}`, change: [name, value] }));
}

async function measure(change: Variant["change"]): Promise<number[]> {
  const args = change ? [change[0], String(change[1])] : [];
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, ...args]);
  return JSON.parse(stdout);
}
