/** A redis-server of our own. */
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { withPort } from "./ports.ts";
import { endProcess, spawnServer, waitReady } from "./process.ts";
import { makeDir, type RunningServer, randomPassword, type ServerOptions } from "./server.ts";
import { findTools } from "./tools.ts";

export interface RedisOptions extends ServerOptions {
  /** Arguments after ours, which therefore win: ["--appendonly", "yes"]. */
  args?: string[];
  /** Path of redis-server; looked for when missing. */
  redisServer?: string;
}

export interface RedisServer extends RunningServer {
  /** redis://:PASSWORD@127.0.0.1:PORT */
  url: string;
}

/** Starts Redis on 127.0.0.1, without snapshots unless `args` ask for them. Throws with the log's tail. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const redisServer = options.redisServer ?? (await findTools()).redisServer;
  if (!redisServer) throw new Error("redis-server 7 or newer is not installed");
  const dir = makeDir(options.dir);
  const data = makeDir(join(dir, "data"));
  const password = options.password ?? randomPassword();
  const logFile = join(dir, "redis.log");
  return withPort(options.port, async (port) => {
    // In a file, because arguments can be read by everybody on the machine.
    const conf = join(dir, "redis.conf");
    writeFileSync(conf, `bind 127.0.0.1\nport ${port}\ndir "${data}"\nsave ""\nrequirepass ${password}\n`, {
      mode: 0o600,
    });
    const args = [conf, ...(options.args ?? [])];
    const server = await spawnServer({ command: redisServer, args, cwd: data, logFile });
    options.onSpawn?.(server.id);
    const stop = () => endProcess(server.id, "SIGTERM");
    try {
      const timeoutMs = options.timeoutMs ?? 60_000;
      const probe = () => ping(port, password);
      await waitReady({ name: "redis-server", server, logFile, timeoutMs, signal: options.signal, probe });
    } catch (error) {
      await stop();
      throw error;
    }
    const url = `redis://:${password}@127.0.0.1:${port}`;
    return { url, port, pid: server.id.pid, password, process: server.id, logFile, stop };
  });
}

/** AUTH and PING in one go; rejects on any other answer than +OK and +PONG. */
function ping(port: number, password: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let answer = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error("no answer to PING")));
    socket.on("connect", () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on("data", (chunk) => {
      answer += chunk;
      if (answer.split("\r\n").length > 2 || answer.startsWith("-")) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () =>
      answer === "+OK\r\n+PONG\r\n" ? resolve() : reject(new Error(answer || "closed")),
    );
  });
}
