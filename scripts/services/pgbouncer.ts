/** A PgBouncer of our own, in front of a PostgreSQL server. */
import { chownSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { withPort } from "./ports.ts";
import { serverUser } from "./postgres.ts";
import { endProcess, spawnServer, waitReady } from "./process.ts";
import { makeDir, type RunningServer, type ServerOptions } from "./server.ts";
import { findTools } from "./tools.ts";

export interface PgbouncerOptions extends ServerOptions {
  /** URL of the server behind it, whose user and password it takes. */
  upstream: string;
  mode: "session" | "transaction" | "statement";
  /** Path of pgbouncer; looked for when missing. */
  pgbouncer?: string;
}

export interface PgbouncerServer extends RunningServer {
  /** The URL behind it, with the port of PgBouncer. */
  url: string;
}

/** Starts PgBouncer on 127.0.0.1 with the settings of its package but for the mode. Throws with the log's tail. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<PgbouncerServer> {
  const pgbouncer = options.pgbouncer ?? (await findTools()).pgbouncer;
  if (!pgbouncer) throw new Error("pgbouncer is not installed");
  const user = await serverUser();
  const dir = makeDir(options.dir, user ? 0o711 : 0o700);
  const upstream = new URL(options.upstream);
  const password = decodeURIComponent(upstream.password);
  return withPort(options.port, async (port) => {
    const users = join(dir, "users.txt");
    const ini = join(dir, "pgbouncer.ini");
    writeFileSync(users, `"${decodeURIComponent(upstream.username)}" "${password}"\n`, { mode: 0o600 });
    writeFileSync(ini, settings(upstream, port, users, options.mode), { mode: 0o600 });
    if (user) for (const path of [users, ini]) chownSync(path, user.uid, user.gid);
    const logFile = join(dir, "pgbouncer.log");
    const server = await spawnServer({ command: pgbouncer, args: [ini], cwd: "/", logFile, user });
    options.onSpawn?.(server.id);
    // SIGTERM ends it at once; SIGINT would wait for its clients
    const stop = () => endProcess(server.id, "SIGTERM");
    try {
      const timeoutMs = options.timeoutMs ?? 60_000;
      const probe = () => listens(port);
      await waitReady({ name: "pgbouncer", server, logFile, timeoutMs, signal: options.signal, probe });
    } catch (error) {
      await stop();
      throw error;
    }
    const url = new URL(options.upstream);
    url.port = String(port);
    return { url: url.href, port, pid: server.id.pid, password, process: server.id, logFile, stop };
  });
}

function settings(upstream: URL, port: number, users: string, mode: string): string {
  return `[databases]
* = host=${upstream.hostname} port=${upstream.port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
`;
}

function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}
