/** A connection that asks as a replica does: for all data as of one instant, as an RDB file over the wire. */
import { bounded } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import { foreignReply, replyError, Wire } from "./backup-wire.ts";
import type { Command } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import type { RdbParser } from "./rdb-parser.ts";

/** A server that prepares its snapshot says so once a second; the fork itself can hold it for seconds. ms */
const SILENCE_MS = 30_000;
const MAX_LINE = 4_096;
const NEWLINE = 10;
const END_MARK_BYTES = 40;
const PSYNC = "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n";
const CAPABILITIES: readonly Command[] = [
  ["REPLCONF", "capa", "eof", "capa", "psync2"],
  // where it is not known, changes follow the file, and are not read
  ["REPLCONF", "rdb-only", "1"],
];

/** What the server's answer to PSYNC says of its snapshot. */
export interface FullSync {
  replid: string;
  /** Of the replication stream: all before is in the snapshot. */
  offset: number;
  /** From the question to the answer, ms. */
  waitedMs: number;
}

/** Nothing is acknowledged, so that the server never counts this connection among its replicas. */
export class ReplicaLink {
  readonly #wire: Wire;
  readonly #at: string;

  private constructor(wire: Wire, at: string) {
    this.#wire = wire;
    this.#at = at;
  }

  /** Logs in and says what this replica can take. @throws OpsError; RedisRefusal: the server does not let this user */
  static async open(endpoint: Endpoint, limits: Limits, call: Call): Promise<ReplicaLink> {
    return new ReplicaLink(await Wire.open(endpoint, limits, call, "PSYNC", CAPABILITIES), endpoint.at);
  }

  /**
   * Asks for all data. When this resolves, the server has its snapshot, and none of it is read yet.
   * @throws OpsError; RedisRefusal: the server does not let this user, or not now
   */
  fullSync(call: Call): Promise<FullSync> {
    return this.#wire.using(call, async () => {
      const startedAt = performance.now();
      this.#wire.send(Buffer.from(PSYNC));
      const line = await this.#line(call);
      const [word, replid, offset] = line.split(" ");
      if (word !== "+FULLRESYNC" || replid === undefined || !/^\d+$/.test(offset ?? "")) {
        throw this.#refusal(line);
      }
      return { replid, offset: Number(offset), waitedMs: Math.round(performance.now() - startedAt) };
    });
  }

  /** Hands on the file, chunk by chunk, each after the parser has found nothing wrong with it. @throws OpsError */
  receive(call: Call, parser: RdbParser, write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    return this.#wire.using(call, async () => {
      const announced = /^\$(?:(\d+)|EOF:(.{40}))$/.exec(await this.#line(call));
      if (announced === null) throw foreignReply();
      const [, length, mark] = announced;
      let left = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
      while (!parser.isDone && left > 0) {
        const chunk = await this.#wire.next();
        call.progress({ label: "redis", done: 0, unit: "bytes" });
        const taken = parser.push(chunk.length > left ? chunk.subarray(0, left) : chunk);
        await write(chunk.subarray(0, taken));
        left -= taken;
        this.#wire.giveBack(chunk.subarray(taken));
      }
      if (!parser.isDone) parser.end();
      if (mark === undefined ? left === 0 : (await this.#text(END_MARK_BYTES)) === mark) return;
      throw new OpsError({
        code: "integrity",
        message: `Redis at ${this.#at} sent more than the file that it announced`,
        hint: "run it again",
        engine: "redis",
      });
    });
  }

  close(): void {
    this.#wire.close();
  }

  /** The next line that is not empty: empty ones say that the server is still at it. */
  async #line(call: Call): Promise<string> {
    let bytes: Buffer = Buffer.alloc(0);
    for (;;) {
      const end = bytes.indexOf(NEWLINE);
      if (end < 0) {
        if (bytes.length > MAX_LINE) throw foreignReply();
        bytes = Buffer.concat([bytes, await bounded(this.#wire.next(), SILENCE_MS)]);
        continue;
      }
      const line = bytes.toString("latin1", 0, end).trimEnd();
      bytes = bytes.subarray(end + 1);
      if (line === "") {
        call.progress({ label: "redis", done: 0, unit: "bytes" });
        continue;
      }
      this.#wire.giveBack(bytes);
      return line;
    }
  }

  async #text(length: number): Promise<string> {
    let bytes: Buffer = Buffer.alloc(0);
    while (bytes.length < length) bytes = Buffer.concat([bytes, await this.#wire.next()]);
    return bytes.toString("latin1", 0, length);
  }

  #refusal(line: string): Error {
    if (!line.startsWith("-")) return foreignReply();
    if (!line.startsWith("-NOMASTERLINK")) return replyError(line.slice(1));
    return new OpsError({
      code: "unreachable",
      message: `Redis at ${this.#at} is a replica that has lost its primary, and gives no snapshot meanwhile`,
      hint: "back up the primary, or repair the replication: INFO replication",
      engine: "redis",
    });
  }
}
