/** A PostgreSQL cluster of our own. */
import { chownSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withPort } from "./ports.ts";
import { endProcess, spawnServer, waitReady } from "./process.ts";
import { makeDir, type RunningServer, randomPassword, type ServerOptions } from "./server.ts";
import { isRoot, mustRun, type RunOptions, run, type User } from "./shell.ts";
import { findPostgres, type PostgresTools } from "./tools.ts";

export interface PostgresOptions extends ServerOptions {
  /** false: nothing is forced to disk. Survives kill -9 of the server, not of the machine. Default true. */
  fsync?: boolean;
  /** Database made at the start. Default opsctl. */
  database?: string;
  /** More arguments of `postgres`, for example ["-c", "statement_timeout=5s"]. */
  args?: string[];
  /** Looked for when missing. */
  postgres?: PostgresTools;
}

export interface PostgresServer extends RunningServer {
  /** postgresql://postgres:PASSWORD@127.0.0.1:PORT/DATABASE */
  url: string;
  /** Folder with psql, pg_dump and the other programs of this version. */
  bin: string;
}

/** Starts PostgreSQL on 127.0.0.1 (no socket) as superuser "postgres". Throws with the log's tail. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const tools = options.postgres ?? (await findPostgres());
  if (!tools) throw new Error("PostgreSQL 15 or newer is not installed");
  const user = await serverUser();
  const dir = makeDir(options.dir, user ? 0o711 : 0o700);
  const data = join(dir, "data");
  const password = options.password ?? randomPassword();
  const context: RunOptions = { cwd: "/", user, env: cleanEnvironment(), signal: options.signal };
  if (!existsSync(join(data, "PG_VERSION"))) await initialize(tools.bin, dir, password, context);

  const logFile = join(dir, "postgres.log");
  return withPort(options.port, async (port) => {
    const args = ["-D", data, ...settings(port, options.fsync ?? true), ...(options.args ?? [])];
    const command = join(tools.bin, "postgres");
    const server = await spawnServer({ command, args, cwd: data, logFile, user, env: context.env });
    options.onSpawn?.(server.id);
    // SIGINT is the "fast" shutdown: open sessions are ended, not waited for.
    const stop = () => endProcess(server.id, "SIGINT");
    const query = psql(tools.bin, port, password, context);
    const database = options.database ?? "opsctl";
    try {
      const timeoutMs = options.timeoutMs ?? 60_000;
      const probe = () => query("SELECT 1");
      await waitReady({ name: "postgres", server, logFile, timeoutMs, signal: options.signal, probe });
      const known = await query(`SELECT 1 FROM pg_database WHERE datname = '${database}'`);
      if (known.trim() === "") await query(`CREATE DATABASE "${database}"`);
    } catch (error) {
      await stop();
      throw error;
    }
    const url = `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`;
    return { url, port, pid: server.id.pid, password, process: server.id, bin: tools.bin, logFile, stop };
  });
}

/** PostgreSQL and PgBouncer refuse to run as root; everybody else runs them as himself. */
export async function serverUser(): Promise<User | undefined> {
  if (!isRoot()) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error("root cannot run PostgreSQL, and there is neither a user postgres nor a user nobody");
}

async function initialize(bin: string, dir: string, password: string, context: RunOptions): Promise<void> {
  const data = makeDir(join(dir, "data"));
  const passwordFile = join(dir, "password");
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    if (context.user) {
      for (const path of [data, passwordFile]) chownSync(path, context.user.uid, context.user.gid);
      await checkReachable(data, context);
    }
    const fixed = [
      "-D",
      data,
      "-U",
      "postgres",
      "-A",
      "scram-sha-256",
      "--pwfile",
      passwordFile,
      "-E",
      "UTF8",
      "-N",
    ];
    // Not every system has C.UTF-8, which sorts like C and knows the case of all letters.
    const modern = await run(join(bin, "initdb"), [...fixed, "--locale=C.UTF-8"], context);
    if (modern.code !== 0) await mustRun(join(bin, "initdb"), [...fixed, "--locale=C"], context);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** A temporary folder inside a home folder is a common reason for a failure that nothing else explains. */
async function checkReachable(folder: string, context: RunOptions): Promise<void> {
  if ((await run("test", ["-x", folder], context)).code === 0) return;
  throw new Error(
    `the user that runs PostgreSQL cannot reach ${folder}: set TMPDIR to a folder all users may enter`,
  );
}

function settings(port: number, fsync: boolean): string[] {
  const values = {
    listen_addresses: "127.0.0.1",
    port,
    // A socket path may have 107 bytes, which a temporary folder easily exceeds: TCP only.
    unix_socket_directories: "",
    max_connections: 200,
    ...(fsync ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** libpq and initdb read PG… variables; none of the caller's may lead elsewhere. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^PG[A-Z]+$/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

function psql(
  bin: string,
  port: number,
  password: string,
  context: RunOptions,
): (sql: string) => Promise<string> {
  const target = ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", "postgres"];
  const env = { ...context.env, PGPASSWORD: password, PGCONNECT_TIMEOUT: "2" };
  const args = ["-X", "-w", "-At", "-v", "ON_ERROR_STOP=1", ...target, "-c"];
  return (sql) => mustRun(join(bin, "psql"), [...args, sql], { ...context, env, timeoutMs: 30_000 });
}
