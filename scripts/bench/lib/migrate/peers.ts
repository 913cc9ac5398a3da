/** The tools that are compared, as their users start them. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../../services/shell.ts";
import type { Program } from "../processes.ts";
import { GOLANG_MIGRATE, GOOSE, type GoTool, goTool } from "./go-tools.ts";
import * as layouts from "./layouts.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const OPSCTL = join(ROOT, "bin/opsctl.js");

export const NAMES = {
  psql: "`psql`, one process, a transaction a file",
  bare: "bare Node loop over `pg`, one simple query a file",
  opsctl: "`opsctl migrate up`",
  bareNode: "`node -e 0`",
  bareStatus: "bare Node script over `pg` that reads the history",
  bareDriver: "bare Node loop over `neo4j-driver`",
  opsctlNeo4j: "`opsctl migrate up neo4j`",
} as const;

/** Where a tool runs. */
export interface Place {
  /** The files in its layout. */
  folder: string;
  database: URL;
  /** PATH, HOME and the like. */
  env: NodeJS.ProcessEnv;
  /** Working directory: whatever a tool writes beside goes there. */
  cwd: string;
}

export interface Peer {
  name: string;
  layout: layouts.Layout;
  /** Pattern of the tables that it keeps its history in; null: it keeps none. */
  history: string | null;
  /** Applies what is pending. */
  up(place: Place): Program;
}

/** libpq's variables: a password is no argument. */
export function libpqEnv({ database, env }: Pick<Place, "database" | "env">): NodeJS.ProcessEnv {
  return {
    ...env,
    PGHOST: database.hostname,
    PGPORT: database.port || "5432",
    PGUSER: decodeURIComponent(database.username),
    PGPASSWORD: decodeURIComponent(database.password),
    PGDATABASE: database.pathname.slice(1),
    PGSSLMODE: database.searchParams.get("sslmode") ?? "disable",
  };
}

const urlEnv = ({ database, env }: Place) => ({ ...env, DATABASE_URL: database.href });

/** `args` after the program, with the address in DATABASE_URL. */
function byUrl(command: string, argsOf: (place: Place) => string[]): Peer["up"] {
  return (place) => ({ command, args: argsOf(place), env: urlEnv(place), cwd: place.cwd });
}

const psql: Peer = {
  name: NAMES.psql,
  layout(folder, files) {
    layouts.plainSql(folder, files);
    writeFileSync(join(folder, "all.psql"), layouts.psqlScript(readdirSync(folder).sort()));
  },
  history: null,
  up: (place) => ({
    command: "psql",
    args: ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", join(place.folder, "all.psql")],
    env: libpqEnv(place),
    cwd: place.cwd,
  }),
};

const bare: Peer = {
  name: NAMES.bare,
  layout: layouts.plainSql,
  history: null,
  up: byUrl("node", ({ folder }) => [join(import.meta.dirname, "bare-up.cjs"), folder]),
};

const opsctl: Peer = {
  name: NAMES.opsctl,
  layout: layouts.opsctl,
  history: "opsctl_migrations",
  up: byUrl(OPSCTL, ({ folder }) => ["migrate", "up", "postgres", "--dir", folder]),
};

const DBMATE = join(ROOT, "node_modules/.bin/dbmate");
const DBMATE_BINARY = join(ROOT, `node_modules/@dbmate/${process.platform}-${process.arch}/bin/dbmate`);
const DBMATE_ALONE = "dbmate (its binary), `--no-dump-schema`";

function dbmate(name: string, command: string, ...options: string[]): Peer {
  const args = ({ folder }: Place) => [...options, "--migrations-dir", folder, "up"];
  return { name, layout: layouts.dbmate, history: "schema_migrations", up: byUrl(command, args) };
}

const nodePgMigrate: Peer = {
  name: "node-pg-migrate, `--no-single-transaction`",
  layout: layouts.nodePgMigrate,
  history: "pgmigrations*",
  up: byUrl(join(ROOT, "node_modules/.bin/node-pg-migrate"), ({ folder }) => [
    "up",
    "--no-single-transaction",
    "--no-verbose",
    "--migrations-dir",
    folder,
  ]),
};

const goose = (command: string): Peer => ({
  name: "goose",
  layout: layouts.goose,
  history: "goose_db_version*",
  up: ({ folder, database, env, cwd }) => ({
    command,
    args: ["up"],
    env: { ...env, GOOSE_DRIVER: "postgres", GOOSE_DBSTRING: database.href, GOOSE_MIGRATION_DIR: folder },
    cwd,
  }),
});

const golangMigrate = (command: string): Peer => ({
  name: "golang-migrate",
  layout: layouts.golangMigrate,
  history: "schema_migrations",
  up(place) {
    const shown = new URL(place.database);
    shown.password = "";
    const args = ["-path", place.folder, "-database", shown.href, "up"];
    return { command, args, env: libpqEnv(place), cwd: place.cwd };
  },
});

/** All that can be had here, the reference first, and the names of the others. */
export async function findPeers(log: Log): Promise<{ peers: Peer[]; missing: string[] }> {
  const isThere = existsSync(DBMATE_BINARY);
  const optional: [name: string, peer: Peer | undefined][] = [
    [DBMATE_ALONE, isThere ? dbmate(DBMATE_ALONE, DBMATE_BINARY, "--no-dump-schema") : undefined],
    ["goose", await built(GOOSE, goose, log)],
    ["golang-migrate", await built(GOLANG_MIGRATE, golangMigrate, log)],
  ];
  const peers = [
    psql,
    bare,
    opsctl,
    dbmate("dbmate (npm), `--no-dump-schema`", DBMATE, "--no-dump-schema"),
    dbmate("dbmate (npm), as it comes: dumps the schema", DBMATE),
    nodePgMigrate,
    ...optional.flatMap(([, peer]) => peer ?? []),
  ];
  return { peers, missing: optional.filter(([, peer]) => !peer).map(([name]) => name) };
}

async function built(tool: GoTool, peerOf: (command: string) => Peer, log: Log): Promise<Peer | undefined> {
  const command = await goTool(tool, log);
  return command === undefined ? undefined : peerOf(command);
}

/** What a run with nothing pending is compared with. */
export const bareStatus: Peer["up"] = byUrl("node", () => [join(import.meta.dirname, "bare-status.cjs")]);

/** The two that run a folder of Cypher files on the server of `env`. */
export function neo4jPrograms(folder: string, env: NodeJS.ProcessEnv): { name: string; program: Program }[] {
  const bareLoop = join(import.meta.dirname, "bare-neo4j.cjs");
  return [
    { name: NAMES.bareDriver, program: { command: "node", args: [bareLoop, folder], env, cwd: folder } },
    {
      name: NAMES.opsctlNeo4j,
      program: { command: OPSCTL, args: ["migrate", "up", "neo4j", "--dir", folder], env, cwd: folder },
    },
  ];
}
