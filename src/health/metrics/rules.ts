import type { Thresholds } from "../../config/thresholds.ts";
import type { RuleGroup } from "./rule.ts";
import { DATABASE_RULES } from "./rules-databases.ts";
import { HOST_RULES } from "./rules-host.ts";

export const RULE_GROUPS: readonly RuleGroup[] = [...HOST_RULES, ...DATABASE_RULES];

/** The alert rules as the YAML file that Prometheus reads. */
export function alertRules(thresholds: Thresholds): string {
  const lines = ["# Alert rules for the metrics of opsctl, written by: opsctl metrics --rules", "groups:"];
  for (const { name, rules } of RULE_GROUPS) {
    lines.push(`  - name: ${name}`, "    rules:");
    for (const rule of rules) {
      lines.push(
        `      - alert: ${rule.alert}`,
        `        expr: ${quoted(rule.expr(thresholds))}`,
        `        for: ${rule.for}`,
        "        labels:",
        `          severity: ${rule.severity}`,
        "        annotations:",
        `          summary: ${quoted(rule.summary)}`,
        `          description: ${quoted(rule.description)}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** In single quotes nothing but the quote itself has a meaning for YAML. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
