/** What was measured in large stores, as tables of the README. */
import { markdownTable } from "../table.ts";
import type { Measured } from "./run.ts";
import { QUERIES } from "./run.ts";
import type { Peer } from "./searcher.ts";

const NAMES: Readonly<Record<Peer, string>> = {
  opsctl: "opsctl, SQLite",
  postgres: "opsctl, PostgreSQL",
  fts5: "FTS5, OR of all words",
  minisearch: "minisearch (index in memory)",
};

export function importTable(measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ rows, bareMs, own, postgres }) => {
    const row = (name: string, ms: number, ratio: string, peak: string) => [
      `${count(rows)} fixes, ${name}`,
      `${count(Math.round(rows / (ms / 1000)))} rows/s`,
      ratio,
      peak,
    ];
    const mib = (peak: number) => `${Math.round(peak)} MiB`;
    return [
      row("bare FTS5 loop", bareMs, "1.00 ×", ""),
      row("`opsctl fixes import`", own.ms, times(bareMs / own.ms), mib(own.peakMib)),
      ...(postgres ? [row("the same into PostgreSQL", postgres.ms, "", mib(postgres.peakMib))] : []),
    ];
  });
  return markdownTable(["import, whole process", "rate", "goal: ≥ 0.35 ×", "peak, goal: ≤ 200 MB"], rows);
}

export function searchTable(measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ rows, searches }) => {
    const bare = searches.find(({ source }) => source.peer === "fts5")!.known;
    return searches.map(({ source, known, common }) => [
      `${count(rows)} fixes, ${NAMES[source.peer]}`,
      milliseconds(known.p50),
      milliseconds(known.p99),
      times(known.p50 / bare.p50),
      `${known.found} of ${QUERIES}`,
      milliseconds(common.p50),
    ]);
  });
  const header = [
    "search",
    "p50",
    "p99",
    "p50 of FTS5's",
    "fix in the top ten",
    "eight commonest words, p50",
  ];
  return markdownTable(header, rows);
}

export function startTable(measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ rows, startMs, recallMs }) => [
    [`${count(rows)} fixes, \`node -e 0\``, milliseconds(startMs), "1.00 ×"],
    [`${count(rows)} fixes, \`opsctl recall --json\``, milliseconds(recallMs), times(recallMs / startMs)],
  ]);
  return markdownTable(["whole process", "median", "ratio, goal at 100,000: ≤ 3.5 ×"], rows);
}

const count = (value: number) => value.toLocaleString("en");
const milliseconds = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const times = (ratio: number) => `${ratio.toFixed(ratio < 0.1 ? 3 : 2)} ×`;
