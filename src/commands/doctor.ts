import type { Command } from "commander";
import type * as v from "valibot";
import type { checkList } from "../contract/doctor.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import type { CheckInfo, Severity } from "../health/doctor/check.ts";
import {
  type CheckOutcome,
  type Diagnosis,
  diagnose,
  type Finding,
  SEVERITIES,
} from "../health/doctor/run.ts";
import type { StackScope } from "../health/doctor/scope.ts";
import { probeAll } from "../health/probes.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { suggest } from "../suggest.ts";
import { type Context, confirm, type Run } from "./command.ts";
import {
  allChecks,
  type Catalogue,
  type Chosen,
  catalogueOf,
  chosenChecks,
  chosenEngines,
  groupsOf,
} from "./doctor-checks.ts";
import { completed, type RemedyResults, runRemedies, safeRemedies } from "./doctor-fix.ts";
import { commandLine } from "./doctor-quote.ts";
import { type Report, render, reportOf, type Treated } from "./doctor-report.ts";
import { stackScope } from "./doctor-scope.ts";
import { engineProbes } from "./probes.ts";

interface Options {
  list?: boolean;
  fix?: boolean;
  yes?: boolean;
  minSeverity: Severity;
}

export function define(command: Command, run: Run): void {
  command
    .argument("[checks...]", "ids, areas or beginnings: postgres, backup, redis-memory* (default: all)")
    .option("--list", "list the checks and what each looks at; connect to nothing")
    .option("--fix", "run the commands that lose nothing and stop nobody, after asking; then look again")
    .option("-y, --yes", "with --fix: do not ask")
    .option("--min-severity <level>", "leave out what is below: info, warning, error", severityOf, "info")
    .addHelpText(
      "after",
      `
Exit code 4 when something is a warning or an error. In a pipe one line a finding: severity, check, subject, evidence, commands, advice.

Examples:
  opsctl doctor
  opsctl doctor postgres backup
  opsctl doctor --list
  opsctl doctor --fix --yes`,
    )
    .action(run<Options>(doctor));
}

function severityOf(text: string): Severity {
  const known = SEVERITIES.find((severity) => severity === text);
  if (known) return known;
  throw usageError(
    `--min-severity: "${text}" is no severity`,
    suggest(text, SEVERITIES) ?? `use ${SEVERITIES.join(", ")}`,
  );
}

async function doctor(context: Context, given: string[], options: Options) {
  const { app } = context;
  const catalogue = await catalogueOf(app);
  const isChosen = chosenChecks(catalogue, given);
  if (options.list) return list(allChecks(catalogue).filter(isChosen));
  const engines = chosenEngines(app, catalogue, isChosen);
  const { scope, diagnosis } = await examine(context, catalogue, engines, isChosen);
  const shown = worthShowing(diagnosis.findings, options.minSeverity);
  const none: RemedyResults = new Map();
  const untreated = shown.map((finding) => ({ finding, fixed: false }));
  const before = reportOf(diagnosis, untreated, none, scope, context.globals);
  const results = options.fix ? await fix(context, before, shown, options.yes) : none;
  const data = results.size > 0 ? await lookAgain() : before;
  return {
    data,
    render: (io: Io) => render(io, data),
    code: data.counts.error + data.counts.warning > 0 ? ("no" as const) : undefined,
    failure: failureOf(results),
  };

  /** All of it once more, with everything asked anew: a command may change what other checks say. */
  async function lookAgain(): Promise<Report> {
    const ids = new Set(diagnosis.outcomes.map(({ check }) => check.id));
    const again = await examine(context, catalogue, engines, ({ id }) => ids.has(id));
    const { findings, outcomes } = again.diagnosis;
    const treated = compared(shown, worthShowing(findings, options.minSeverity), outcomes);
    return reportOf(again.diagnosis, treated, results, again.scope, context.globals);
  }
}

/** Asks the engines that matter, then runs the checks. */
async function examine(
  context: Context,
  catalogue: Catalogue,
  engines: readonly EngineName[],
  isChosen: Chosen,
): Promise<{ scope: StackScope; diagnosis: Diagnosis }> {
  const { app, call } = context;
  // checks beside the engines look at all of them
  const isStack = catalogue.stack.flat().some(isChosen);
  const probes = engineProbes(app).filter(({ name }) => isStack || engines.includes(name));
  const scope = stackScope(
    context,
    await probeAll(call, probes, app.config.durationMs("OPSCTL_HEALTH_BUDGET")),
  );
  const groups = await groupsOf(app, catalogue, scope, engines, isChosen);
  return { scope, diagnosis: await diagnose(call, groups) };
}

function worthShowing(findings: readonly Finding[], least: Severity): Finding[] {
  return findings.filter(({ severity }) => SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(least));
}

/** Asks, and runs the safe commands. */
async function fix(
  context: Context,
  before: Report,
  shown: readonly Finding[],
  yes: boolean | undefined,
): Promise<RemedyResults> {
  const { call, io, globals } = context;
  const remedies = safeRemedies(shown);
  if (remedies.length === 0) return new Map();
  context.clearProgress();
  // whoever is asked sees what it is about
  if (!yes && !globals.json && io.stdoutIsTty) await render(io, before);
  io.note(
    `safe to run now:\n${remedies.map(({ argv }) => `  ${commandLine(completed(argv, globals))}`).join("\n")}`,
  );
  const what = remedies.length === 1 ? "running this command" : `running these ${remedies.length} commands`;
  await confirm(context, yes, what, "repeat with --yes");
  return runRemedies(call, remedies, globals);
}

/** What the second look says of the findings of the first; what it alone has is added. */
function compared(
  first: readonly Finding[],
  again: readonly Finding[],
  outcomes: readonly CheckOutcome[],
): Treated[] {
  const same = (one: Finding) => (other: Finding) =>
    one.check.id === other.check.id && one.subject === other.subject;
  // what could not be looked at again may be there still
  const isSeen = ({ status }: CheckOutcome) => status === "ok" || status === "found";
  const looked = new Set(outcomes.filter(isSeen).map(({ check }) => check.id));
  const known = first.map((finding) => {
    const still = again.find(same(finding));
    return { finding: still ?? finding, fixed: !still && looked.has(finding.check.id) };
  });
  const fresh = again.filter((finding) => !first.some(same(finding)));
  return [...known, ...fresh.map((finding) => ({ finding, fixed: false }))];
}

function failureOf(results: RemedyResults): OpsError | undefined {
  const failed = [...results].filter(([, { result }]) => result === "failed");
  const [first] = failed;
  if (!first) return undefined;
  const [key, { error }] = first;
  return new OpsError({
    code: "failed",
    message: `${failed.length} of ${results.size} commands failed; the first, ${commandLine(key.split("\0"))}: ${error}`,
    hint: "run it by hand",
  });
}

type CheckList = v.InferOutput<typeof checkList>;

/** Columns of `doctor --list`: id, area, what is wrong when it finds something, what it looks at. */
const LIST_COLUMNS: readonly Column<CheckInfo>[] = [
  { header: "check", value: ({ id }) => id },
  { header: "area", value: ({ area }) => area },
  { header: "finds", value: ({ title }) => title, flexible: true },
  { header: "looks at", value: ({ looks }) => looks, flexible: true },
];

function list(checks: readonly CheckInfo[]) {
  const rows = checks.map(({ id, area, title, looks }) => ({ id, area, title, looks }));
  const data: CheckList = { checks: rows, count: rows.length };
  return { data, render: (io: Io) => printTable(io, LIST_COLUMNS, rows) };
}
