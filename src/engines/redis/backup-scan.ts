/** The backup of a server that lets nobody be its replica: SCAN names the keys, DUMP gives them. */
import { join } from "node:path";
import type { Copied, FileWriter, Snapshot } from "../../backup/port.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import type { Way } from "./backup-psync.ts";
import { pipelined, type Reply } from "./backup-replies.ts";
import { SeenKeys } from "./backup-seen.ts";
import { replyError, Wire } from "./backup-wire.ts";
import type { Command } from "./client.ts";
import type { RedisConnection } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { RedisRefusal, redisError } from "./errors.ts";
import { type Info, readInfo } from "./info.ts";
import { RdbWriter } from "./rdb-writer.ts";

/** Keys that the server looks at for one page. */
const PAGE = 500;
/** What is asked for at once, in bytes by the server's own estimate, so that neither side holds much more. One value may be larger. */
const BATCH_BYTES = 4 << 20;
/** Of INFO: while all of them stay as they are, nothing was written (`rdb_changes_since_last_save` counts every write, and is reset by saves). */
const TELLTALES = [
  "run_id",
  "rdb_changes_since_last_save",
  "rdb_last_save_time",
  "rdb_saves",
  "evicted_keys",
] as const;

export class ScanWay implements Way {
  readonly #connection: RedisConnection;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  #wire: Wire | undefined;
  #before: Info = {};
  /** PEXPIRETIME is of Redis 7; the time that is left is exact to a few milliseconds. */
  #expiry: "PEXPIRETIME" | "PTTL" = "PEXPIRETIME";

  constructor(connection: RedisConnection, endpoint: Endpoint, limits: Limits) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.#limits = limits;
  }

  /** @throws OpsError; RedisRefusal: this user may not */
  async check(call: Call): Promise<void> {
    const questions: Command[] = [
      ["SCAN", "0", "COUNT", "1"],
      ["PEXPIRETIME", "a key"],
    ];
    const [scan, expiry] = await this.#connection.batch(call, questions);
    if (scan instanceof RedisRefusal) throw scan;
    if (!(expiry instanceof RedisRefusal)) return;
    if (!expiry.unknownCommand) throw expiry;
    this.#expiry = "PTTL";
  }

  async prepare(call: Call): Promise<Snapshot> {
    this.#wire = await Wire.open(this.#endpoint, this.#limits, call, "SCAN and DUMP");
    this.#before = await readInfo(call, this.#connection, "default");
    return { at: Date.now(), identity: { method: "scan", run_id: this.#before["run_id"] ?? null } };
  }

  async copy(call: Call, file: FileWriter, scratch: string): Promise<Copied> {
    const notes = await this.#wire!.using(call, () => this.#write(call, file, scratch));
    const after = await readInfo(call, this.#connection, "default");
    const isCounted = after["rdb_changes_since_last_save"] !== undefined;
    const isQuiet = isCounted && TELLTALES.every((name) => after[name] === this.#before[name]);
    return {
      consistency: isQuiet ? "consistent" : "fuzzy",
      reason: isQuiet
        ? null
        : "the keys were read one after another (SCAN and DUMP), and others wrote meanwhile",
      ...notes,
    };
  }

  close(): void {
    this.#wire?.close();
  }

  async #write(
    call: Call,
    file: FileWriter,
    scratch: string,
  ): Promise<Pick<Copied, "counts" | "breakdown" | "notes">> {
    const seen = new SeenKeys(join(scratch, "seen.sqlite"));
    const writer = new RdbWriter(file, this.#endpoint.at, [
      ["redis-ver", this.#before["redis_version"] ?? "unknown"],
      ["ctime", String(Math.floor(Date.now() / 1_000))],
    ]);
    try {
      const notes = await this.#functions(call, writer);
      for (const database of databasesOf(this.#before)) {
        await this.#ask(call, [["SELECT", String(database)]]);
        for await (const keys of this.#pages(call)) {
          const fresh = keys.filter((key) => seen.isNew(database, key));
          if (fresh.length > 0) await this.#dump(call, database, fresh, writer);
        }
      }
      await writer.end();
      const { counts } = writer;
      return { counts: counts.totals(), breakdown: counts.breakdown(), notes };
    } finally {
      seen.close();
    }
  }

  /** @returns notes */
  async #functions(call: Call, writer: RdbWriter): Promise<string[]> {
    try {
      const [payload] = await this.#ask(call, [["FUNCTION", "DUMP"]]);
      await writer.functions(payload as Buffer);
      return [];
    } catch (error) {
      if (!(error instanceof RedisRefusal && error.unknownCommand)) throw error;
      return ["the server does not know FUNCTION DUMP (it is of Redis 7): no functions are in this copy"];
    }
  }

  async *#pages(call: Call): AsyncGenerator<Buffer[]> {
    let cursor = "0";
    do {
      const [page] = await this.#ask(call, [["SCAN", cursor, "COUNT", String(PAGE)]]);
      const [next, keys] = page as [Buffer, Buffer[]];
      cursor = next.toString();
      yield keys;
    } while (cursor !== "0");
  }

  async #dump(call: Call, database: number, keys: readonly Buffer[], writer: RdbWriter): Promise<void> {
    const sizes = await this.#ask(
      call,
      keys.map((key): Command => ["MEMORY", "USAGE", key]),
    );
    let batch: Buffer[] = [];
    let bytes = 0;
    for (const [index, key] of keys.entries()) {
      const size = Number(sizes[index] ?? 0);
      if (batch.length > 0 && bytes + size > BATCH_BYTES) {
        await this.#dumpBatch(call, database, batch, writer);
        batch = [];
        bytes = 0;
      }
      batch.push(key);
      bytes += size;
    }
    await this.#dumpBatch(call, database, batch, writer);
  }

  /** In one transaction: a value must not meet the expiry of another one. */
  async #dumpBatch(call: Call, database: number, keys: readonly Buffer[], writer: RdbWriter): Promise<void> {
    throwIfAborted(call);
    const questions = keys.flatMap((key): Command[] => [
      ["DUMP", key],
      [this.#expiry, key],
    ]);
    const clock: Command[] = this.#expiry === "PTTL" ? [["TIME"]] : [];
    const replies = await this.#ask(call, [["MULTI"], ...questions, ...clock, ["EXEC"]]);
    const values = replies.at(-1) as Reply[];
    const now = clock.length > 0 ? millisecondsOf(values.at(-1) as [Buffer, Buffer]) : 0;
    for (const [index, key] of keys.entries()) {
      const payload = values[2 * index];
      const expiry = Number(values[2 * index + 1]);
      if (payload instanceof Error) throw this.#refusal("DUMP", payload);
      // null: the key is gone
      if (!(payload instanceof Buffer)) continue;
      await writer.key(database, { key, payload, expiresAt: expiry < 0 ? expiry : now + expiry });
    }
  }

  /** @throws RedisRefusal: the first command that was refused */
  async #ask(call: Call, commands: readonly Command[]): Promise<Reply[]> {
    const replies = await pipelined(call, this.#wire!, commands);
    const refused = replies.findIndex((reply) => reply instanceof Error);
    if (refused >= 0) throw this.#refusal(commands[refused]![0], replies[refused] as Error);
    return replies;
  }

  #refusal(command: string, error: Error): Error {
    // the answer to EXEC itself, when EXEC is what this user may not
    const reply = replyError(error.message.replace(/^EXECABORT .* because of: /, ""));
    return redisError(reply, { at: this.#endpoint.at, tls: this.#endpoint.tls, command });
  }
}

/** The reply of TIME: seconds and microseconds. */
function millisecondsOf([seconds, microseconds]: [Buffer, Buffer]): number {
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

/** Numbers of the databases that hold keys. */
function databasesOf(info: Info): number[] {
  return Object.keys(info)
    .filter((name) => /^db\d+$/.test(name))
    .map((name) => Number(name.slice(2)))
    .sort((a, b) => a - b);
}
