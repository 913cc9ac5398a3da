import type { Command } from "commander";
import type * as v from "valibot";
import type { initialized } from "../contract/operations.ts";
import { type EngineName, usageError } from "../errors.ts";
import { parseRedisSettings } from "../migrate/redis-settings.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { type Context, collect, type Run } from "./command.ts";
import { engineNames } from "./engines.ts";
import { initEngine } from "./init-engine.ts";
import { listSets } from "./init-list.ts";
import { noteLeftover } from "./leftover.ts";

export interface InitOptions {
  dryRun?: boolean;
  yes?: boolean;
  redisConfig?: string[];
  skipConfig?: boolean;
  list?: boolean;
}

type Initialized = v.InferOutput<typeof initialized>;
export type EngineRow = Initialized["engines"][number];

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j postgres redis sqlite, or all (default: what is configured)")
    .option("--dry-run", "print what would be done; write nothing")
    .option("-y, --yes", "allow Redis settings that evict keys or lower limits")
    .option("--redis-config <name=value>", "a Redis setting instead of the default; may be repeated", collect)
    .option("--skip-config", "leave the settings of Redis alone")
    .option("--list", "list the shipped schemas and what is applied")
    .addHelpText(
      "after",
      `
Applies what is missing, then verifies and counts. Running it again changes nothing and says so.

Examples:
  opsctl init all --dry-run
  opsctl init postgres neo4j
  opsctl init redis --redis-config maxmemory=1gb`,
    )
    .action(run<InitOptions>(init));
}

async function init(context: Context, given: string[], options: InitOptions) {
  const { app } = context;
  if (options.list) return listSets(context);
  const names = engineNames(given, app.configured());
  const redisSettings = parseRedisSettings(options.redisConfig ?? []);
  for (const name of names) requireConfigured(context, name);
  const rows: EngineRow[] = [];
  for (const name of names) rows.push(await initEngine(context, name, redisSettings, options));
  await noteLeftover(context);
  const data: Initialized = {
    dry_run: options.dryRun === true,
    changed: rows.some(({ status }) => status === "initialized"),
    engines: rows,
  };
  const failed = rows.filter(({ status }) => status === "failed");
  return {
    data,
    render: (io: Io) => render(io, data),
    code: failed.length === 0 ? undefined : codeOf(failed, rows.length),
  };
}

/** All engines failed: the first one's own code; some did: partial. */
function codeOf(failed: readonly EngineRow[], all: number) {
  return failed.length === all ? (failed[0]!.error!.code as "failed") : ("partial" as const);
}

function requireConfigured({ app }: Context, name: EngineName): void {
  if (app.targets[name]) return;
  const variable = { neo4j: "NEO4J_URI", postgres: "DATABASE_URL", redis: "REDIS_URL", sqlite: "OPSCTL_DB" }[
    name
  ];
  throw usageError(`${name} is not configured`, `set ${variable}`);
}

async function render(io: Io, { engines, dry_run, changed }: Initialized): Promise<void> {
  for (const row of engines) await renderEngine(io, row);
  const failed = engines.some(({ status }) => status === "failed");
  if (!dry_run && !changed && !failed) await io.out("no change\n");
}

async function renderEngine(io: Io, row: EngineRow): Promise<void> {
  const lines = [`${row.target}: ${row.status}`];
  for (const { name, before, after } of row.changes)
    lines.push(`  ${name}: ${before ?? "none"} → ${after ?? "none"}`);
  for (const set of row.sets) {
    const versions = set.versions.length > 0 ? ` ${set.versions.join(", ")}` : "";
    const reason = set.reason === null ? "" : `: ${set.reason}`;
    lines.push(`  set ${set.set} ${set.schema_version}: ${set.state}${versions}${reason}`);
    const counts = Object.entries(set.counts).map(([name, count]) => `${count} ${name}`);
    if (counts.length > 0) lines.push(`    ${counts.join(", ")}`);
  }
  for (const statement of row.statements) lines.push(`${statement};`);
  for (const note of row.notes) lines.push(`  ${note}`);
  if (row.error) lines.push(`  error: ${row.error.message}`);
  if (row.error?.hint) lines.push(`  Try: ${row.error.hint}`);
  await io.out(`${io.style("bold", row.engine)} ${escapeText(lines.join("\n"))}\n`);
}
