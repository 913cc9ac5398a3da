import type { Thresholds } from "../../config/thresholds.ts";

/** What Prometheus watches for. Every metric in `expr` is in the list of families. */
export interface Rule {
  alert: string;
  /** PromQL, from the thresholds of the configuration. */
  expr: (thresholds: Thresholds) => string;
  /** How long it must hold: `5m`. */
  for: string;
  severity: "critical" | "warning" | "info";
  /** What is wrong, in one line; templates of Prometheus are filled in. */
  summary: string;
  /** What it leads to, and the command that says more or mends it. */
  description: string;
}

export interface RuleGroup {
  name: string;
  rules: readonly Rule[];
}

/** A threshold in percent as the ratio that metrics have. */
export function share(percent: number): string {
  return String(Number((percent / 100).toFixed(6)));
}
