/** A throw-away redis-server that loads a file: on a socket in a private folder, without persistence, gone with whoever started it. */
import { copyFile, link, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { type RunningTool, readTool, startTool } from "../../child.ts";
import { OpsError } from "../../errors.ts";
import { RedisConnection } from "./connect.ts";
import { endpointOf } from "./endpoint.ts";
import { type Info, readInfo } from "./info.ts";
import { tooOld } from "./restore-checks.ts";
import type { RdbHead } from "./restore-entries.ts";

const POLL_MS = 25;
const ANSWER_MS = 5_000;
/** For starting, ms, and what a server loads at least, bytes/s. */
const START_MS = 60_000;
const SLOWEST = 1 << 20;
/** For ending by itself before it is killed. */
const END_MS = 5_000;
/** What is kept of its log. */
const LOG_CHARS = 16_384;
/** The path of a socket has at most 107 bytes, in it the names below the folder. */
const LONGEST_PATH = 80;
/** More than anybody configures: what the file names is checked against the server that it is for. */
const DATABASES = 65_536;

/**
 * Runs a program that ends when its standard input does: when this process is killed, nobody else would end it.
 */
const ENDS_WITH_US =
  'exec 3<&0; "$@" </dev/null & server=$!; (cat <&3 >/dev/null; kill -9 $server) & watch=$!; wait $server; code=$?; kill $watch; exit $code';

export class ScratchRedis {
  readonly version: string;
  readonly #tool: RunningTool;
  readonly #connection: RedisConnection;
  readonly #folder: string;
  readonly #limitMs: number;
  #log = "";
  #ended: Error | "ended" | undefined;

  private constructor(
    version: string,
    tool: RunningTool,
    connection: RedisConnection,
    folder: string,
    limitMs: number,
  ) {
    this.version = version;
    this.#tool = tool;
    this.#connection = connection;
    this.#folder = folder;
    this.#limitMs = limitMs;
    tool.stdout.on("data", (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString("latin1")).slice(-LOG_CHARS);
    });
    tool.done.then(
      () => {
        this.#ended = "ended";
      },
      (error: Error) => {
        this.#ended = error;
      },
    );
  }

  /**
   * @param program how redis-server is called
   * @param work a private folder
   * @returns why there can be none, in words, where that is not the file's fault
   */
  static async start(
    call: Call,
    program: string,
    work: string,
    path: string,
    head: RdbHead,
  ): Promise<ScratchRedis | string> {
    const version = await versionOf(call, program);
    if (version === undefined) return `${program} cannot be run here`;
    const old = tooOld(version, head.version);
    if (old !== null) return `${program} ${old}`;
    const { size } = await stat(path);
    const needed = Math.max(Number(head.facts["used-mem"] ?? 0), size);
    const free = process.availableMemory();
    if (needed > free) return `it takes ${mebibytes(needed)} of memory, and ${mebibytes(free)} are free here`;
    const base = Buffer.byteLength(work) <= LONGEST_PATH ? work : tmpdir();
    const folder = await mkdtemp(join(base, "opsctl-redis-"));
    try {
      const file = join(folder, "dump.rdb");
      await link(path, file).catch(() => copyFile(path, file));
      const socket = join(folder, "socket");
      const args = ["-c", ENDS_WITH_US, "sh", program, ...argumentsOf(folder, socket)];
      const tool = startTool(call, "sh", args, { cwd: folder, engine: "redis", stdin: "pipe" });
      return new ScratchRedis(
        version,
        tool,
        connectionTo(socket),
        folder,
        START_MS + (size / SLOWEST) * 1_000,
      );
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Waits until the file is loaded. @returns INFO @throws OpsError `integrity` with the server's words: it did not survive it */
  async loaded(call: Call): Promise<Info> {
    const startedAt = performance.now();
    for (;;) {
      throwIfAborted(call);
      if (this.#ended !== undefined) throw this.#failure();
      const info = await readInfo(call, this.#connection, "default").catch(() => undefined);
      if (info?.["loading"] === "0") return info;
      if (performance.now() - startedAt > this.#limitMs) throw this.#late();
      call.progress({ label: "redis", done: Number(info?.["loading_loaded_bytes"] ?? 0), unit: "bytes" });
      await sleep(POLL_MS);
    }
  }

  /** Nothing of it is left. */
  async stop(): Promise<void> {
    await this.#connection.close();
    this.#tool.stdin.end();
    const ended = this.#tool.done.catch(() => {});
    const late = setTimeout(() => this.#tool.kill(), END_MS);
    await ended.finally(() => clearTimeout(late));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #late(): OpsError {
    return new OpsError({
      code: "failed",
      message: `a redis-server of its own (${this.version}) had not loaded the file after ${Math.round(this.#limitMs / 1_000)} s`,
      hint: "is this host too busy, or short of memory? run it again",
      engine: "redis",
    });
  }

  #failure(): OpsError {
    const lines = this.#log
      .split("\n")
      .map((line) => /^\d+:\w .{15,30}? [*#.-] (.*)$/.exec(line.trim())?.[1] ?? "")
      .filter((line) => line !== "");
    const said = lines.findLast((line) => /rdb|error|fatal|panic|corrupt|assert/i.test(line)) ?? lines.at(-1);
    return new OpsError({
      code: "integrity",
      message: `a redis-server of its own (${this.version}) did not survive loading the file${said ? `: ${said}` : ""}`,
      hint: "take another archive: opsctl backup list",
      engine: "redis",
      cause: this.#log,
    });
  }
}

function argumentsOf(folder: string, socket: string): string[] {
  const settings: Record<string, string> = {
    port: "0",
    unixsocket: socket,
    unixsocketperm: "700",
    dir: folder,
    dbfilename: "dump.rdb",
    save: "",
    appendonly: "no",
    databases: String(DATABASES),
    daemonize: "no",
    // values are looked into, as deep as the server can
    "sanitize-dump-payload": "yes",
    // a replica keeps keys that have expired: all can be counted. Nobody listens on this port
    replicaof: "127.0.0.1 1",
  };
  return Object.entries(settings).flatMap(([name, value]) =>
    name === "replicaof" ? [`--${name}`, ...value.split(" ")] : [`--${name}`, value],
  );
}

function connectionTo(socket: string): RedisConnection {
  const { options, ...endpoint } = endpointOf(
    { engine: "redis", url: "redis://scratch", shown: "", identity: "" },
    ANSWER_MS,
  );
  const { host: _host, port: _port, ...rest } = options;
  return new RedisConnection(
    { ...endpoint, at: "its own socket", options: { ...rest, path: socket } },
    { connectMs: ANSWER_MS, queryMs: ANSWER_MS, poolSize: 1 },
  );
}

async function versionOf(call: Call, program: string): Promise<string | undefined> {
  const text = await readTool(call, program, ["--version"]).catch((error: unknown) => {
    throwIfAborted(call);
    if (error instanceof OpsError) return "";
    throw error;
  });
  return /\bv=(\d+\.\d+\.\d+)/.exec(text)?.[1];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
