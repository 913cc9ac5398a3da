/** A Neo4j Community server of our own, run from its jars. */
import { existsSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort, withPort } from "./ports.ts";
import { endProcess, spawnServer, waitReady } from "./process.ts";
import { makeDir, type RunningServer, randomPassword, type ServerOptions } from "./server.ts";
import { mustRun } from "./shell.ts";
import { findTools } from "./tools.ts";

export interface Neo4jOptions extends ServerOptions {
  /** More lines of neo4j.conf, for example {"db.transaction.timeout": "5s"}. */
  settings?: Record<string, string>;
  /** Java's heap. Default 512m. */
  maxHeap?: string;
  /** Paths of java and of the folder with the jars; looked for when missing. */
  java?: string;
  neo4jLib?: string;
}

export interface Neo4jServer extends RunningServer {
  /** bolt://127.0.0.1:PORT */
  uri: string;
  username: string;
  httpPort: number;
}

const OPENED = ["java.nio", "java.io", "sun.nio.ch", "java.lang"].map(
  (name) => `--add-opens=java.base/${name}=ALL-UNNAMED`,
);

/** Starts Neo4j on 127.0.0.1 (Bolt and HTTP) as user "neo4j". Throws with the log's tail. */
export async function startNeo4j(options: Neo4jOptions): Promise<Neo4jServer> {
  const tools = options.java && options.neo4jLib ? options : await findTools();
  const { java, neo4jLib } = {
    java: options.java ?? tools.java,
    neo4jLib: options.neo4jLib ?? tools.neo4jLib,
  };
  if (!java || !neo4jLib) throw new Error("Java 17 or the jars of Neo4j are not installed");
  const home = makeDir(options.dir);
  const conf = makeDir(join(home, "conf"));
  const jvm = ["-cp", join(neo4jLib, "*"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  jvm.push(`-Djava.io.tmpdir=${makeDir(join(home, "tmp"))}`);
  const password = options.password ?? randomPassword();
  const logFile = join(home, "neo4j.log");

  if (!existsSync(join(home, "data"))) {
    const env = { ...process.env, NEO4J_HOME: home, NEO4J_CONF: conf };
    const admin = ["org.neo4j.cli.AdminTool", "dbms", "set-initial-password", password];
    await mustRun(java, [...jvm, ...admin], { cwd: home, env, signal: options.signal });
  }
  return withPort(options.port, async (port) => {
    const httpPort = await freePort();
    writeFileSync(join(conf, "neo4j.conf"), configuration(port, httpPort, options.settings), { mode: 0o600 });
    const heap = ["-Xms256m", `-Xmx${options.maxHeap ?? "512m"}`, ...OPENED];
    const main = [
      "org.neo4j.server.CommunityEntryPoint",
      `--home-dir=${home}`,
      `--config-dir=${conf}`,
      "--console-mode",
    ];
    const server = await spawnServer({ command: java, args: [...jvm, ...heap, ...main], cwd: home, logFile });
    options.onSpawn?.(server.id);
    const stop = () => endProcess(server.id, "SIGTERM");
    try {
      const timeoutMs = options.timeoutMs ?? 120_000;
      const probe = () => query(port, httpPort, password);
      await waitReady({ name: "neo4j", server, logFile, timeoutMs, signal: options.signal, probe });
    } catch (error) {
      await stop();
      throw error;
    }
    const uri = `bolt://127.0.0.1:${port}`;
    return {
      uri,
      username: "neo4j",
      port,
      httpPort,
      pid: server.id.pid,
      password,
      process: server.id,
      logFile,
      stop,
    };
  });
}

function configuration(port: number, httpPort: number, settings: Record<string, string> = {}): string {
  const values = {
    "server.default_listen_address": "127.0.0.1",
    "server.default_advertised_address": "127.0.0.1",
    "server.bolt.listen_address": `127.0.0.1:${port}`,
    "server.bolt.advertised_address": `127.0.0.1:${port}`,
    "server.http.listen_address": `127.0.0.1:${httpPort}`,
    "server.http.advertised_address": `127.0.0.1:${httpPort}`,
    "server.https.enabled": "false",
    "server.memory.pagecache.size": "64m",
    // Two times 256 MB of zeros otherwise.
    "db.tx_log.preallocate": "false",
    "dbms.usage_report.enabled": "false",
    ...settings,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/** RETURN 1 through HTTP, which needs no driver, and an open Bolt port. */
async function query(boltPort: number, httpPort: number, password: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ port: boltPort, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
  const body = JSON.stringify({ statements: [{ statement: "RETURN 1" }] });
  const answer = await post(httpPort, "/db/neo4j/tx/commit", `neo4j:${password}`, body);
  if (!answer.includes('"errors":[]')) throw new Error(answer.slice(0, 300));
}

function post(port: number, path: string, auth: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    // An agent of its own: the global one may be set to a proxy.
    const options = {
      host: "127.0.0.1",
      port,
      path,
      method: "POST",
      auth,
      headers,
      timeout: 5_000,
      agent: new Agent(),
    };
    const call = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    call.on("timeout", () => call.destroy(new Error("no answer to RETURN 1")));
    call.on("error", reject);
    call.end(body);
  });
}
