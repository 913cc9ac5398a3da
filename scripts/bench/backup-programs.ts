/** The programs that are compared: opsctl, and the tools that an operator would call, alone or from one script. */
import { delimiter, dirname, join } from "node:path";
import type { EngineName } from "../../src/errors.ts";
import { onPath } from "../services/shell.ts";
import type { Stack } from "./backup-stack.ts";
import { libpqEnv } from "./lib/migrate/peers.ts";
import type { Program } from "./lib/processes.ts";

/** Something that leaves a backup in an empty folder. */
export interface Contender {
  name: string;
  program(out: string): Program;
  goal?: string;
}

const OPSCTL = join(import.meta.dirname, "../../bin/opsctl.js");
const BARE_EXPORT = join(import.meta.dirname, "backup-bare-export.ts");

/** What every program gets: addresses and passwords, never as arguments, and this Node first on PATH. */
export function environment(stack: Stack, home: string): NodeJS.ProcessEnv {
  const { postgres, redis, neo4j, sqlite } = stack;
  const path = [dirname(process.execPath), postgres.bin, process.env["PATH"]].join(delimiter);
  const own = { PATH: path, HOME: home, TMPDIR: home, LC_ALL: "C.UTF-8" };
  return {
    ...libpqEnv({ database: new URL(postgres.url), env: own }),
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    REDIS_PORT: String(redis.port),
    REDISCLI_AUTH: redis.password,
    NEO4J_URI: neo4j.uri,
    NEO4J_USERNAME: neo4j.username,
    NEO4J_PASSWORD: neo4j.password,
    SQLITE_FILE: sqlite,
    OPSCTL_DB: sqlite,
    OPSCTL_STATE: join(home, "state.db"),
    NODE_COMPILE_CACHE: join(home, "compile-cache"),
  };
}

/** The tool of each engine that writes into the folder `$S`. */
const RAW: Readonly<Record<EngineName, string>> = {
  postgres: 'pg_dump -Fc -Z0 -f "$S/app.dump"',
  redis: 'redis-cli -h 127.0.0.1 -p "$REDIS_PORT" --rdb "$S/dump.rdb"',
  sqlite: 'sqlite3 "$SQLITE_FILE" ".backup \'$S/app.db\'"',
  neo4j: `node '${BARE_EXPORT}' "$S/neo4j.ndjson"`,
};
const PLAIN = 'pg_restore -f "$S/app.sql" "$S/app.dump"';
const GLOBALS = 'pg_dumpall --globals-only --no-role-passwords -f "$S/globals.sql"';

const REFERENCE = "raw tools in parallel, `tar`, `zstd -3`";
const TITLES: Readonly<Record<EngineName, string>> = {
  postgres: "`pg_dump -Fc -Z0`",
  redis: "`redis-cli --rdb`",
  sqlite: "`sqlite3 .backup`",
  neo4j: "bare export with the driver",
};

/** What opsctl makes of one engine alone: the file that its tool makes. */
const FILES: Readonly<Record<EngineName, string>> = {
  postgres: "latest.dump",
  redis: "latest.rdb",
  sqlite: "latest.db",
  neo4j: "latest.ndjson",
};

/** Of one engine: its tool first, then the tool and what makes of its files what opsctl's archive is. */
export function partContenders(engine: EngineName, env: NodeJS.ProcessEnv): Contender[] {
  const raw = RAW[engine];
  const shell = (name: string, ...lines: string[]) => shellContender(name, env, lines);
  const peers = [shell(TITLES[engine], raw)];
  const all = engine === "postgres" ? [raw, PLAIN, GLOBALS] : [raw];
  if (engine === "postgres") peers.push(shell("… with the plain file (`pg_restore -f`)", raw, PLAIN));
  // of Neo4j the export is nearly all of it
  if (engine !== "neo4j")
    peers.push(shell("… all files, `tar`, `zstd -3`", ...all, packed("zstd -q -3", "tar.zst")));
  const goal = engine === "neo4j" ? "0.85 ×, 200 MB" : undefined;
  return [
    ...peers,
    opsctl(env, [engine], ["--output", FILES[engine]], goal),
    opsctl(env, [engine], ["--format", "tar.zst"], goal),
    opsctl(env, [engine], ["--format", "tar.gz"], goal),
  ];
}

/** Of all four: the raw tools in parallel first. */
export function wholeContenders(env: NodeJS.ProcessEnv): Contender[] {
  return [
    shellContender(REFERENCE, env, [together(false), packed("zstd -q -3", "tar.zst")]),
    shellContender("… with the plain file", env, [together(true), packed("zstd -q -3", "tar.zst")]),
    opsctl(env, [], ["--format", "tar.zst"], "0.9 ×, 256 MB"),
    opsctl(env, [], ["--format", "tar.gz"], "1.2 ×, 256 MB"),
  ];
}

/** Other ways to write that script, all with the plain file; the reference is first again. */
export function scriptContenders(env: NodeJS.ProcessEnv): { contenders: Contender[]; missing: string[] } {
  const shell = (name: string, ...lines: string[]) => shellContender(name, env, lines);
  const verified = 'sha256sum "$OUT/set.tar.zst" > "$OUT/set.sha256"; zstd -dcq "$OUT/set.tar.zst" | tar -t';
  const pigz = onPath("pigz");
  const alone = [RAW.postgres, PLAIN, GLOBALS, RAW.redis, RAW.sqlite, RAW.neo4j];
  const contenders = [
    shell(REFERENCE, together(false), packed("zstd -q -3", "tar.zst")),
    shell("… `zstd -3 -T0`", together(true), packed("zstd -q -3 -T0", "tar.zst")),
    shell("… `zstd -3`, digest, read again", together(true), packed("zstd -q -3", "tar.zst"), verified),
    ...(pigz ? [shell("… `pigz`", together(true), packed("pigz", "tar.gz"))] : []),
    shell("one tool after another, `tar`, `gzip`", ...alone, packed("gzip", "tar.gz")),
  ];
  return { contenders, missing: pigz ? [] : ["pigz"] };
}

/** `opsctl backup` of engines (none: all), in the folder and into it. */
export function opsctl(
  env: NodeJS.ProcessEnv,
  engines: readonly EngineName[],
  flags: readonly string[],
  goal?: string,
): Contender {
  const words = ["backup", ...engines, ...flags];
  return {
    name: `\`opsctl ${words.join(" ")}\``,
    program: (out) => ({
      command: process.execPath,
      args: [OPSCTL, ...words],
      env: { ...env, OPSCTL_BACKUPS: out },
      cwd: out,
    }),
    ...(goal === undefined ? {} : { goal }),
  };
}

function shellContender(name: string, env: NodeJS.ProcessEnv, lines: readonly string[]): Contender {
  const script = ["set -euo pipefail", 'S="$OUT/set"; mkdir "$S"', ...lines].join("\n");
  return {
    name,
    program: (out) => ({ command: "bash", args: ["-c", script], env: { ...env, OUT: out } }),
  };
}

/** Runs the tools side by side; the first that failed fails the script. */
function together(withPlain: boolean): string {
  const postgres = withPlain ? `${RAW.postgres} && ${PLAIN}` : RAW.postgres;
  const commands = [postgres, GLOBALS, RAW.redis, RAW.sqlite, RAW.neo4j];
  const started = commands.map((command) => `{ ${command}; } & pids="$pids $!"`);
  return ['pids=""', ...started, 'for pid in $pids; do wait "$pid"; done'].join("\n");
}

/** One archive of the folder, on disk; the spooled files go. */
function packed(compress: string, ending: string): string {
  const archive = `"$OUT/set.${ending}"`;
  return `tar -C "$OUT" -cf - set | ${compress} > ${archive}; sync ${archive}; rm -r "$S"`;
}
