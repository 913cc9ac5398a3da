import type { Command } from "commander";
import type * as v from "valibot";
import type { initialized } from "../contract/operations.ts";
import type { EngineName } from "../errors.ts";
import { type ChosenSets, chooseSets, DEFAULT_SETS } from "../migrate/choose.ts";
import { type Initialized as InitResult, type InitTarget, initialize } from "../migrate/init.ts";
import { listSets } from "../migrate/list.ts";
import { parseRedisSettings } from "../migrate/redis-settings.ts";
import { DATA_SETS } from "../migrate/sets.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { type Context, collect, confirm, type Run } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";
import { renderSets } from "./init-list.ts";
import { noteLeftover } from "./leftover.ts";

interface Options {
  sets?: string;
  dryRun?: boolean;
  yes?: boolean;
  redisConfig?: string[];
  skipConfig?: boolean;
  list?: boolean;
}

type Initialized = v.InferOutput<typeof initialized>;
type EngineRow = Initialized["engines"][number];

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j postgres redis sqlite, or all (default: what is configured)")
    .option("--sets <names>", "shipped sets to apply, separated by commas, or all (default: OPSCTL_SETS)")
    .option("--dry-run", "print what would be done; write nothing")
    .option("-y, --yes", "allow Redis settings that evict keys or lower limits")
    .option("--redis-config <name=value>", "a Redis setting instead of the default; may be repeated", collect)
    .option("--skip-config", "leave the settings of Redis alone")
    .option("--list", "list the shipped schemas and what is applied")
    .addHelpText(
      "after",
      `
Applies what is missing, then verifies and counts. Running it again changes nothing and says so.

Sets:
${setLines()}
Named sets (--sets, OPSCTL_SETS) replace the default ones; one that cannot be had is then a failure.

Examples:
  opsctl init all --dry-run
  opsctl init postgres neo4j
  opsctl init all --sets all
  opsctl init postgres --sets memory,sessions
  opsctl init redis --redis-config maxmemory=1gb`,
    )
    .action(run<Options>(init));
}

function setLines(): string {
  const lines = DATA_SETS.map(
    ({ engine, set, title, isDefault }) =>
      `  ${engine.padEnd(8)}  ${set.padEnd(10)}  ${title}${isDefault ? " (default)" : ""}\n`,
  );
  return lines.join("");
}

async function init(context: Context, given: string[], options: Options) {
  const { app, call, io } = context;
  const configured = [
    ...new Set([...app.configured(), ...(app.targets.migration ? (["postgres"] as const) : [])]),
  ];
  const names = engineNames(given, configured);
  if (options.list) return list(context, given, names);
  const wanted = parseRedisSettings(options.redisConfig ?? []);
  for (const name of names) requireConfigured(context, name);
  const results = await initialize(call, targetsOf(context, names), {
    dryRun: options.dryRun === true,
    sets: chosenSets(context, options, names),
    settings: options.skipConfig ? null : wanted,
    async confirm(target, changes, risks) {
      for (const risk of risks) io.note(`redis: ${risk}`);
      const settings = changes.map(({ name }) => name).join(", ");
      await confirm(context, options.yes, `setting ${settings} on ${target.shown}`);
    },
  });
  await noteLeftover(context);
  const data: Initialized = {
    dry_run: options.dryRun === true,
    changed: results.some(({ status }) => status === "initialized"),
    engines: results.map(engineRow),
  };
  const failed = results.flatMap(({ error }) => error ?? []);
  return {
    data,
    render: (out: Io) => render(out, data),
    // all engines failed: the first one's own code; some did: partial
    code:
      failed.length === results.length
        ? failed[0]?.code
        : failed.length > 0
          ? ("partial" as const)
          : undefined,
  };
}

/** `--list`, of the engines that are named, else of all. */
async function list(context: Context, given: string[], names: readonly EngineName[]) {
  const configured = names.filter((name) => context.app.migrationTarget(name));
  const { sets, degraded } = await listSets(context.call, targetsOf(context, configured));
  const isAll = given.length === 0 || given.includes("all");
  const shown = sets.filter(({ shipped }) => isAll || names.includes(shipped.engine));
  return renderSets({ sets: shown, degraded });
}

/** The flag is about this command line; the setting is about a whole stack, so it may name sets of engines that are left out now. */
function chosenSets({ app }: Context, { sets }: Options, engines: readonly EngineName[]): ChosenSets {
  if (sets !== undefined) return chooseSets(sets, "--sets", engines);
  const setting = app.config.text("OPSCTL_SETS");
  return setting === undefined ? DEFAULT_SETS : chooseSets(setting, "OPSCTL_SETS", null);
}

function targetsOf({ app }: Context, names: readonly EngineName[]): InitTarget[] {
  return names.map((engine) => {
    const target = app.migrationTarget(engine)!;
    return {
      engine,
      shown: target.shown,
      migrations: () => app.migrations(target),
      settings: () => app.settings(target),
    };
  });
}

function engineRow({ sets, error, ...result }: InitResult): EngineRow {
  return {
    ...result,
    sets: sets.map(({ schemaVersion, ...set }) => ({ ...set, schema_version: schemaVersion })),
    error: error && { code: error.code, message: error.message, hint: error.hint ?? null },
  };
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
