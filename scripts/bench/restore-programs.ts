/** The programs that bring a set back: opsctl, and the tools that an operator would call, alone or from one script. */
import { join } from "node:path";
import type { EngineName } from "../../src/errors.ts";
import type { Program } from "./lib/processes.ts";
import type { MadeSet } from "./restore-scene.ts";

/** Something that fills empty databases from a set. */
export interface Contender {
  name: string;
  engines: readonly EngineName[];
  program: Program;
  /** What the engines hold afterwards is compared with what they held before. */
  isCompared: boolean;
  goal?: string;
}

const OPSCTL = join(import.meta.dirname, "../../bin/opsctl.js");
const BARE_IMPORT = join(import.meta.dirname, "restore-bare-import.ts");

/** Into the database of the environment, which is there and empty. */
const PG_RESTORE = 'pg_restore --exit-on-error -j 2 -d "$PGDATABASE" "$SET/postgres/app.dump"';
const ANALYZE = 'psql -X -q -d "$PGDATABASE" -c ANALYZE';
const SQLITE = `sqlite3 "$SQLITE_FILE" ".restore '$SET/sqlite/app.db'"`;
/** A server that runs ends, gets the file, and starts again. */
const REDIS = [
  'redis-cli -h 127.0.0.1 -p "$RAW_REDIS_PORT" shutdown nosave',
  'cp "$SET/redis/dump.rdb" "$RAW_REDIS_DIR/data/dump.rdb"',
  'redis-server "$RAW_REDIS_DIR/redis.conf" --daemonize yes >"$RAW_REDIS_DIR/start.log"',
  'until [ "$(redis-cli -h 127.0.0.1 -p "$RAW_REDIS_PORT" ping 2>&1)" = PONG ]; do sleep 0.02; done',
].join("; ");
const TAR = 'mkdir "$SET" && tar --zstd -xf "$ARCHIVE" -C "$SET" --strip-components=1';

/** PostgreSQL: its tool first. */
export function postgresContenders(set: MadeSet, env: NodeJS.ProcessEnv): Contender[] {
  const engines = ["postgres"] as const;
  return [
    script("`pg_restore -j 2`", engines, env, set.unpacked, [PG_RESTORE]),
    script("`pg_restore -j 2`, `ANALYZE`", engines, env, set.unpacked, [PG_RESTORE, ANALYZE]),
    {
      ...opsctl(set, engines, env, "1.08 ×, 256 MB"),
      name: "`opsctl restore --from-file app.dump`",
      program: restore(set, env, [
        "--from-file",
        join(set.unpacked, "postgres/app.dump"),
        "--only",
        "postgres",
        "--trust-archive",
      ]),
    },
    opsctl(set, engines, env, "1.08 ×, 256 MB"),
  ];
}

/**
 * PostgreSQL, Redis and SQLite: a script that unpacks the archive and runs their tools side by side.
 * @param scratch a folder that is not there, for the script's files
 */
export function storesContenders(set: MadeSet, env: NodeJS.ProcessEnv, scratch: string): Contender[] {
  const engines = ["postgres", "redis", "sqlite"] as const;
  const raw = (name: string, postgres: string) =>
    script(name, engines, { ...env, ARCHIVE: set.path }, scratch, [
      TAR,
      'pids=""',
      ...[postgres, REDIS, SQLITE].map((command) => `{ ${command}; } & pids="$pids $!"`),
      'for pid in $pids; do wait "$pid"; done',
      'rm -r "$SET"',
    ]);
  return [
    raw("`tar -x`, raw tools in parallel", PG_RESTORE),
    raw("… and `ANALYZE`", `${PG_RESTORE} && ${ANALYZE}`),
    opsctl(set, engines, env, "1.0 ×, 256 MB"),
  ];
}

/** Neo4j: a plain import first. */
export function neo4jContenders(set: MadeSet, env: NodeJS.ProcessEnv): Contender[] {
  const engines = ["neo4j"] as const;
  const raw = `node '${BARE_IMPORT}' "$SET/neo4j/neo4j.ndjson"`;
  return [
    script("bare import with the driver", engines, env, set.unpacked, [raw]),
    opsctl(set, engines, env, "0.8 ×, 256 MB"),
  ];
}

/** `opsctl restore` of a set. */
export function opsctl(
  set: MadeSet,
  engines: readonly EngineName[],
  env: NodeJS.ProcessEnv,
  goal?: string,
): Contender {
  return {
    name: `\`opsctl restore NAME\` (${engines.join(", ")})`,
    engines,
    program: restore(set, env, [set.name]),
    isCompared: true,
    ...(goal === undefined ? {} : { goal }),
  };
}

/** `opsctl restore` with words, among the archives of a set. */
export function restore(set: MadeSet, env: NodeJS.ProcessEnv, words: readonly string[]): Program {
  return program(set, env, ["restore", ...words, "--yes", "--json"]);
}

/** `opsctl backup drill` of a set. */
export function drill(set: MadeSet, env: NodeJS.ProcessEnv): Contender {
  const words = ["backup", "drill", set.name, "--json"];
  return { name: "`opsctl backup drill`", engines: [], program: program(set, env, words), isCompared: false };
}

function program({ archives }: MadeSet, env: NodeJS.ProcessEnv, words: readonly string[]): Program {
  const own = { ...env, OPSCTL_BACKUPS: archives };
  return { command: process.execPath, args: [OPSCTL, ...words], env: own, cwd: archives };
}

function script(
  name: string,
  engines: readonly EngineName[],
  env: NodeJS.ProcessEnv,
  set: string,
  lines: readonly string[],
): Contender {
  const text = ["set -euo pipefail", ...lines].join("\n");
  const own = { ...env, SET: set };
  return { name, engines, program: { command: "bash", args: ["-c", text], env: own }, isCompared: false };
}
