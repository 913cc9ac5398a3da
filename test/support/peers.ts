/** Other migration tools and the databases they share with opsctl. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { execa } from "execa";
import pg from "pg";
import { ROOT, type Sandbox } from "./cli.ts";
import { postgresDatabase } from "./servers.ts";

/** An empty database that opsctl and another tool both reach. */
export interface SharedDatabase {
  engine: "postgres" | "sqlite";
  /** As dbmate wants it. */
  url: string;
  /** How opsctl finds it. */
  env: Record<string, string>;
  flags: string[];
  query(sql: string): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

export async function sharedDatabase(
  engine: SharedDatabase["engine"],
  sandbox: Sandbox,
): Promise<SharedDatabase> {
  return engine === "postgres" ? sharedPostgres() : sharedSqlite(join(sandbox.dir, "app.db"));
}

async function sharedPostgres(): Promise<SharedDatabase> {
  const { url, drop } = await postgresDatabase();
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return {
    engine: "postgres",
    url: `${url}?sslmode=disable`,
    env: { DATABASE_URL: url },
    flags: [],
    query: async (sql) => [await client.query(sql)].flat().at(-1)!.rows as Record<string, unknown>[],
    async drop() {
      await client.end();
      await drop();
    },
  };
}

function sharedSqlite(path: string): SharedDatabase {
  return {
    engine: "sqlite",
    url: `sqlite:${path}`,
    env: {},
    flags: ["--database", path],
    async query(sql) {
      const database = new Database(path);
      try {
        if (/^select\b/i.test(sql)) return database.prepare<[], Record<string, unknown>>(sql).all();
        database.exec(sql);
        return [];
      } finally {
        database.close();
      }
    },
    async drop() {},
  };
}

/** Writes files below a folder, each folder that is missing too. */
export function layFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** Runs dbmate itself; it must succeed. @returns its output */
export async function dbmate(url: string, folder: string, ...args: string[]): Promise<string> {
  const launcher = join(ROOT, "node_modules", ".bin", "dbmate");
  const flags = ["--url", url, "--migrations-dir", folder, "--no-dump-schema"];
  const { stdout } = await execa(process.execPath, [launcher, ...flags, ...args]);
  return stdout;
}
