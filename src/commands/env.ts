import { type Stats, statSync } from "node:fs";
import { userInfo } from "node:os";
import type { Command } from "commander";
import type * as v from "valibot";
import { shownValue } from "../config/load.ts";
import type { environment } from "../contract/operations.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context, Run } from "./command.ts";

type Environment = v.InferOutput<typeof environment>;

interface Row {
  name: string;
  value: string | null;
  source: string;
}

/** Columns of `env`: name, value (redacted), source. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "name", value: (row) => row.name },
  { header: "value", flexible: true, value: (row) => row.value, shown: (row) => row.value ?? "–" },
  { header: "source", value: (row) => row.source, style: () => "dim" },
];

export function define(command: Command, run: Run): void {
  command
    .addHelpText("after", "\nPasswords are never shown. `opsctl help environment` explains every name.")
    .action(run(show));
}

async function show({ app }: Context) {
  const data: Environment = {
    settings: app.config.resolved.map((entry) => ({
      name: entry.setting.name,
      value: shownValue(entry),
      source: entry.source,
    })),
    connections: (["neo4j", "postgres", "redis", "sqlite"] as const).map((engine) => ({
      engine,
      configured: app.configured().includes(engine),
      url: app.targets[engine]?.shown ?? null,
    })),
    files: [
      { name: "data", ...describe(app.dataFile) },
      { name: "state", ...describe(app.stateFile) },
    ],
    config_file: app.config.file,
    profile: app.config.profile,
  };
  return { data, render: (io: Context["io"]) => printTable(io, COLUMNS, rowsOf(data)) };
}

function describe(path: string): Omit<Environment["files"][number], "name"> {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch {
    // it is made on first use
    return { path, exists: false, owner: null, mode: null };
  }
  const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
  return { path, exists: true, owner: ownerName(stats.uid), mode };
}

function ownerName(uid: number): string {
  if (uid !== process.getuid?.()) return `uid ${uid}`;
  try {
    return userInfo().username;
  } catch {
    // a user id without a name, as in many containers
    return `uid ${uid}`;
  }
}

function rowsOf({ settings, connections, files, config_file, profile }: Environment): Row[] {
  return [
    ...settings,
    ...connections.map(({ engine, configured, url }) => ({
      name: `${engine} connection`,
      value: url,
      source: configured ? "in use" : "not in use",
    })),
    ...files.map(({ name, path, exists, owner, mode }) => ({
      name: `${name} file`,
      value: path,
      source: exists ? `${owner}, mode ${mode}` : "made on first use",
    })),
    { name: "config file", value: config_file, source: profile === null ? "" : `profile ${profile}` },
  ];
}
