import { FAMILIES } from "./families.ts";
import type { Point, Snapshot, Value } from "./family.ts";

export interface Exposition {
  /** Prometheus' text format 0.0.4; ends with a line feed. */
  text: string;
  /** Lines with a value. */
  metrics: number;
}

/**
 * All metrics of a snapshot, in the order of their list; a family of which nothing is known is left out.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function expose(snapshot: Snapshot): Exposition {
  const lines: string[] = [];
  let metrics = 0;
  for (const { name, type, help, read } of FAMILIES) {
    const known = read(snapshot).filter(({ value }) => value !== null);
    if (known.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
    for (const point of known) lines.push(`${name}${labelsOf(point)} ${numberOf(point.value)}`);
    metrics += known.length;
  }
  return { text: `${lines.join("\n")}\n`, metrics };
}

function labelsOf({ labels }: Point): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function numberOf(value: Value): string {
  if (typeof value !== "number") return value ? "1" : "0";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
