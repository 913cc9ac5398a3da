/** Times and amounts as people read them; JSON carries the raw numbers. */
export { bytes } from "../amounts.ts";

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"],
];

/** An age in its largest unit: `3d`, `5h`, `12m`, `40s`, `0s`. */
export function age(ms: number): string {
  const [size, unit] = UNITS.find(([size]) => ms >= size) ?? [1000, "s"];
  return `${Math.floor(Math.max(0, ms) / size)}${unit}`;
}

/** `83 %`; `–` when nothing is known. */
export function percent(rate: number | null): string {
  return rate === null ? "–" : `${Math.round(rate * 100)} %`;
}

/** ✓ worked, ✗ failed, ? unknown. */
export function outcome(success: boolean | null): string {
  return success === null ? "?" : success ? "✓" : "✗";
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

const BARS = "▁▂▃▄▅▆▇█";

/** Counts as bars, the largest full; a dot where there was nothing. */
export function sparkline(counts: readonly number[]): string {
  const most = Math.max(1, ...counts);
  return counts
    .map((count) => (count === 0 ? "·" : BARS[Math.ceil((count * BARS.length) / most) - 1]))
    .join("");
}
