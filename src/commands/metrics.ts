import { lstatSync, realpathSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type * as v from "valibot";
import type { writtenMetrics } from "../contract/doctor.ts";
import { OpsError, usageError } from "../errors.ts";
import { expose } from "../health/metrics/exposition.ts";
import { MOST_LABELS, MOST_ROWS } from "../health/metrics/family.ts";
import { alertRules } from "../health/metrics/rules.ts";
import type { Io } from "../output/io.ts";
import { publish } from "../publish.ts";
import { type Context, type Result, type Run, STRICT } from "./command.ts";
import { takeSnapshot } from "./metrics-snapshot.ts";

interface Options {
  textfile?: string;
  rules?: boolean;
}

export function define(command: Command, run: Run): void {
  command
    .option("--textfile <path>", "write a file for node_exporter's textfile collector instead of stdout")
    .option("--rules", "print alert rules for these metrics, with your thresholds; asks no server")
    .option(...STRICT)
    .addHelpText(
      "after",
      `
Prints Prometheus' text format. What an engine that does not answer would have said is absent, and its opsctl_up is 0. Of what
grows with the data (tables, labels, namespaces) the ${MOST_LABELS} largest have a line each, the next ${MOST_ROWS - MOST_LABELS} are summed as "other".
With --textfile the file is replaced at once (written under another name, flushed, renamed), and everybody may read it (mode
0644), because the collector is another user: it holds figures and names of tables, no secrets. The collector reads only
names that end with .prom. --json applies to --textfile alone. examples/alerts.yml has the rules with default thresholds.

Examples:
  opsctl metrics
  * * * * * opsctl metrics --quiet --textfile /var/lib/node_exporter/opsctl.prom
  opsctl metrics --rules > /etc/prometheus/rules/opsctl.yml`,
    )
    .action(run<Options>(metrics));
}

async function metrics(context: Context, _args: string[], options: Options): Promise<Result> {
  const { textfile, rules } = options;
  if (rules && textfile !== undefined) {
    throw usageError("--rules prints alert rules, --textfile writes metrics", "leave one of them out");
  }
  if (context.globals.json && textfile === undefined) {
    throw usageError(
      "metrics prints text: --json applies to --textfile alone",
      "leave --json out; the figures as JSON: opsctl stats --json",
    );
  }
  if (rules) return textResult(alertRules(context.app.thresholds));
  if (textfile !== undefined) return writeTextfile(context, textfile);
  const { snapshot, degraded } = await takeSnapshot(context);
  return { ...textResult(expose(snapshot).text), degraded };
}

function textResult(text: string): Result {
  return { data: text, render: (io: Io) => io.out(text) };
}

async function writeTextfile(context: Context, given: string): Promise<Result> {
  const { app, io } = context;
  if (given === "") throw usageError("--textfile is empty", "name a file");
  const path = textfilePath(resolve(app.config.cwd, given));
  const { snapshot, degraded } = await takeSnapshot(context);
  const { text, metrics } = expose(snapshot);
  try {
    await publish(path, 0o644, (partial) => writeFile(partial, text));
  } catch (error) {
    throw unwritable(path, error);
  }
  if (!path.endsWith(".prom")) {
    io.note("node_exporter reads only files whose name ends with .prom", "warning:");
  }
  const size_bytes = Buffer.byteLength(text);
  const data: v.InferOutput<typeof writtenMetrics> = { path, size_bytes, metrics, degraded };
  return { data, render: (out) => out.note(`${metrics} metrics written to ${path}`), degraded };
}

/**
 * The file that is meant; behind a link the one it leads to, because a rename would replace the link.
 * @throws OpsError `usage` for what is no file, and where there is no folder: before any server is asked
 */
function textfilePath(path: string): string {
  try {
    if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) {
      throw usageError(`--textfile: there is no folder ${dirname(path)}`, "make it, or name another file");
    }
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();
    const file = isLink ? realpathSync(path) : path;
    const known = statSync(file, { throwIfNoEntry: false });
    if (known?.isDirectory()) {
      throw usageError(
        `--textfile: ${path} is a folder`,
        `name a file, such as ${join(path, "opsctl.prom")}`,
      );
    }
    if (known && !known.isFile()) {
      throw usageError(`--textfile: ${path} is no regular file`, "name another file");
    }
    return file;
  } catch (error) {
    throw error instanceof OpsError ? error : unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): OpsError {
  const { code = "error" } = error as NodeJS.ErrnoException;
  const hints: Record<string, string> = {
    EACCES: `run it as a user that may write to ${dirname(path)}`,
    ENOSPC: "free space there; what the file held before is unchanged",
  };
  return new OpsError({
    code: "failed",
    message: `${path} cannot be written (${code})`,
    hint: hints[code] ?? "name another file with --textfile",
    cause: error,
  });
}
