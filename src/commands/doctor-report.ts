/** A diagnosis as its contract has it, and as a person reads it. */
import type * as v from "valibot";
import { redactor } from "../config/redact.ts";
import type { diagnosis } from "../contract/doctor.ts";
import type { Severity } from "../health/doctor/check.ts";
import { type Diagnosis, type Finding, SEVERITIES } from "../health/doctor/run.ts";
import type { StackScope } from "../health/doctor/scope.ts";
import { escapeText } from "../output/escape.ts";
import type { Io, Style } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Globals } from "./command.ts";
import { completed, keyOf, type RemedyResults, safeRemedies } from "./doctor-fix.ts";
import { commandLine } from "./doctor-quote.ts";

export type Report = v.InferOutput<typeof diagnosis>;
type Row = Report["findings"][number];

/** Shorter secrets are ordinary words, which findings are made of. */
const LONG_SECRET = 12;

export interface Treated {
  finding: Finding;
  /** It was looked for again, and is gone. */
  fixed: boolean;
}

export function reportOf(
  { outcomes }: Pick<Diagnosis, "outcomes">,
  treated: readonly Treated[],
  results: RemedyResults,
  { engines, secrets }: Pick<StackScope, "engines" | "secrets">,
  globals: Globals,
): Report {
  const redact = redactor(secrets.map(({ value }) => value).filter(({ length }) => length >= LONG_SECRET));
  const left = treated.filter(({ fixed }) => !fixed).map(({ finding }) => finding.severity);
  const count = (severity: Severity) => left.filter((one) => one === severity).length;
  return {
    status: SEVERITIES.find((severity) => left.includes(severity)) ?? "ok",
    timestamp: new Date().toISOString(),
    findings: treated.map((one) => rowOf(one, results, redact, globals)),
    checks: outcomes.map(({ check: { id, area }, reason, ...outcome }) => ({
      id,
      area,
      ...outcome,
      reason: reason === null ? null : redact(reason),
    })),
    counts: {
      error: count("error"),
      warning: count("warning"),
      info: count("info"),
      unknown: outcomes.filter(({ status }) => status === "unknown").length,
    },
    degraded: engines.flatMap(({ engine, status, code, message }) =>
      status === "disconnected"
        ? [{ engine, code: code ?? "unreachable", message: message ?? "no answer" }]
        : [],
    ),
  };
}

function rowOf(
  { finding, fixed }: Treated,
  results: RemedyResults,
  redact: (text: string) => string,
  globals: Globals,
): Row {
  const { check, severity, subject, evidence, cause, remedies, advice } = finding;
  // another finding may name the same command, and it may have run for that one
  const ran = safeRemedies([finding]);
  return {
    check: check.id,
    area: check.area,
    severity,
    subject: redact(subject),
    evidence: redact(evidence),
    cause: redact(cause),
    remedies: remedies.map((remedy) => ({
      argv: completed(remedy.argv, globals),
      command: commandLine(completed(remedy.argv, globals)),
      safe: remedy.safe,
      ...((ran.includes(remedy) && results.get(keyOf(remedy.argv))) || { result: null, error: null }),
    })),
    advice: advice === undefined ? null : redact(advice),
    fixed,
  };
}

const STYLES: Readonly<Record<Severity, Style>> = { error: "red", warning: "yellow", info: "cyan" };

/** Columns of `doctor` in a pipe: severity (`fixed` once mended), check, subject, evidence, commands, advice. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "severity", value: ({ fixed, severity }) => (fixed ? "fixed" : severity) },
  { header: "check", value: ({ check }) => check },
  { header: "subject", value: ({ subject }) => subject },
  { header: "evidence", value: ({ evidence }) => evidence },
  { header: "command", value: ({ remedies }) => remedies.map(({ command }) => command).join(" && ") },
  { header: "advice", value: ({ advice }) => advice },
];

export async function render(io: Io, data: Report): Promise<void> {
  if (!io.stdoutIsTty) await printTable(io, COLUMNS, data.findings);
  else for (const row of data.findings) await io.out(`${block(io, row)}\n`);
  for (const { id, status, reason, hint } of data.checks) {
    if (status !== "unknown") continue;
    io.note(`${id} could not look: ${reason}${hint === null ? "" : ` (${hint})`}`);
  }
  io.note(summary(data));
}

/** A finding on a terminal. */
function block(io: Io, row: Row): string {
  const label = row.fixed ? io.style("green", "fixed") : io.style(STYLES[row.severity], row.severity);
  const head = `${label} ${io.style("dim", row.check)} ${io.style("bold", escapeText(row.subject))}`;
  const commands = row.remedies.flatMap(({ command, result, error }) => [
    `Try: ${command}${result === null ? "" : `  (${result})`}`,
    ...(error === null ? [] : [`     ${error}`]),
  ]);
  const advice = row.advice === null ? [] : [row.advice];
  const lines = [row.evidence, row.cause, ...commands, ...advice];
  return [head, ...lines.map((line) => `  ${escapeText(line)}`), ""].join("\n");
}

function summary({ findings, checks, counts }: Report): string {
  const open = findings.filter(({ fixed }) => !fixed).length;
  const each = SEVERITIES.filter((severity) => counts[severity] > 0).map((one) => `${counts[one]} ${one}`);
  const skipped = checks.filter(({ status }) => status === "skipped").length;
  const parts = [
    `${open} finding${open === 1 ? "" : "s"}${each.length === 0 ? "" : ` (${each.join(", ")})`}`,
    findings.length > open ? `${findings.length - open} fixed` : "",
    `${checks.length} check${checks.length === 1 ? "" : "s"}`,
    counts.unknown > 0 ? `${counts.unknown} could not look` : "",
    skipped > 0 ? `${skipped} skipped (no answer)` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
