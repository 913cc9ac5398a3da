/** Migration tools that are Go programs, built from their modules. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cacheDir, type Log, mustRun, onPath } from "../../../services/shell.ts";

export interface GoTool {
  /** Name of the program. */
  name: string;
  module: string;
  version: string;
  /** Build tags: drivers of other databases left out, which would be most of the program and of its build. */
  tags: string;
}

export const GOOSE: GoTool = {
  name: "goose",
  module: "github.com/pressly/goose/v3/cmd/goose",
  version: "v3.29.0",
  tags: "no_clickhouse no_libsql no_mssql no_mysql no_sqlite3 no_vertica no_ydb",
};

export const GOLANG_MIGRATE: GoTool = {
  name: "migrate",
  module: "github.com/golang-migrate/migrate/v4/cmd/migrate",
  version: "v4.20.1",
  tags: "postgres",
};

/** Path of the program, which is kept between runs; undefined when it cannot be had here. */
export async function goTool({ name, module, version, tags }: GoTool, log: Log): Promise<string | undefined> {
  const program = join(cacheDir(), "bench", `${name}-${version}`, name);
  if (existsSync(program)) return program;
  const go = onPath("go");
  if (!go) return undefined;
  log(`building ${name} ${version}`);
  const path = mkdtempSync(join(tmpdir(), "opsctl-go-"));
  mkdirSync(dirname(program), { recursive: true });
  // modules that are made read-only could not be removed afterwards
  const env = { ...process.env, GOPATH: path, GOBIN: dirname(program), GOFLAGS: "-modcacherw" };
  try {
    await mustRun(go, ["install", "-tags", tags, `${module}@${version}`], { env, timeoutMs: 600_000 });
    return program;
  } catch (error) {
    log(`${name} cannot be had here: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
