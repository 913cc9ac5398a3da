/** Restoring key by key, where a server has no other master than its owner's: RESTORE with the bytes of the file. */
import { bounded } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Saved } from "../../restore/port.ts";
import { pipelined, type Reply } from "./backup-replies.ts";
import { replyError, Wire } from "./backup-wire.ts";
import type { Command } from "./client.ts";
import type { RedisConnection } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { RedisRefusal, redisError } from "./errors.ts";
import { readInfo } from "./info.ts";
import { Crc64 } from "./rdb-crc64.ts";
import { type RdbKey, type RdbPiece, readEntries } from "./restore-entries.ts";
import {
  afterwards,
  freed,
  isChanged,
  KEEP_ALL,
  kept,
  type SaveLoading,
  setSettings,
  takeBack,
} from "./restore-settings.ts";

/** What is sent at once: the server works on one batch while the next is made. One value may be larger. */
const BATCH_BYTES = 256 << 10;
const BATCH_COMMANDS = 2_000;
/** What a connection carries at least, bytes/s: a larger batch has more time. */
const SLOWEST = 1 << 20;
const VERSION_BYTES = 2;
/** For giving the policy back, when the memory of the old data is free. */
const CLEAN_UP_MS = 120_000;

/** A connection that is sent many commands, and waits for each answer no longer than its limits say. */
class Sender {
  database = 0;
  readonly #wire: Wire;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  #commands: Command[] = [];
  #bytes = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(wire: Wire, endpoint: Endpoint, limits: Limits) {
    this.#wire = wire;
    this.#endpoint = endpoint;
    this.#limits = limits;
  }

  /** @throws of an earlier batch; RedisRefusal: the first command of it that was refused */
  async add(call: Call, database: number, command: Command): Promise<void> {
    if (database !== this.database) {
      this.#commands.push(["SELECT", String(database)]);
      this.database = database;
    }
    this.#commands.push(command);
    for (const word of command) this.#bytes += word.length;
    if (this.#bytes >= BATCH_BYTES || this.#commands.length >= BATCH_COMMANDS) await this.flush(call);
  }

  /** Begins to send what was added, when what was sent before is answered. */
  async flush(call: Call): Promise<void> {
    await this.#underWay;
    const commands = this.#commands;
    const limitMs = this.#limits.queryMs + (this.#bytes / SLOWEST) * 1_000;
    this.#commands = [];
    this.#bytes = 0;
    if (commands.length === 0) return;
    this.#underWay = bounded(pipelined(call, this.#wire, commands), limitMs, call.signal).then((replies) =>
      this.#examine(commands, replies),
    );
    this.#underWay.catch(() => {});
  }

  async end(call: Call): Promise<void> {
    await this.flush(call);
    await this.#underWay;
  }

  #examine(commands: readonly Command[], replies: readonly Reply[]): void {
    const refused = replies.findIndex((reply) => reply instanceof Error);
    if (refused < 0) return;
    const { at, tls } = this.#endpoint;
    const reply = replyError((replies[refused] as Error).message);
    // what RESTORE and FUNCTION LOAD are refused for names no value
    throw redisError(reply, { at, tls, command: commands[refused]![0], quotes: true });
  }
}

export class CommandsWay {
  readonly #connection: RedisConnection;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;

  constructor(connection: RedisConnection, endpoint: Endpoint, limits: Limits) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.#limits = limits;
  }

  /** Whether this user may run what it takes, found out with what cannot succeed. @throws RedisRefusal, OpsError */
  async check(call: Call): Promise<void> {
    const nothing = Buffer.from("no dump");
    const replies = await this.#connection.batch(call, [["RESTORE", "opsctl", "0", nothing, "REPLACE"]]);
    for (const reply of replies)
      if (reply instanceof RedisRefusal && (reply.reply === "NOPERM" || reply.unknownCommand)) throw reply;
  }

  /**
   * Empties the server, and gives it all keys and functions of the file.
   * @param save writes into the journal what another process needs to take back, before anything changes, and nothing when that is done
   * @param check the server holds the file
   */
  async load(
    call: Call,
    file: { path: string; size: number },
    save: SaveLoading,
    check: () => Promise<void>,
  ): Promise<{ outageMs: number }> {
    await this.check(call);
    const before = await this.#keepAll(call, save);
    let hasBegun = true;
    const end = async () => {
      await takeBack(afterwards(call, CLEAN_UP_MS), this.#connection, before);
      await save({}, hasBegun);
    };
    let outageMs: number;
    try {
      const startedAt = performance.now();
      await this.#connection.run(call, ["FLUSHALL", "ASYNC"], { writes: true }).catch((error: unknown) => {
        hasBegun = !(error instanceof RedisRefusal);
        throw error;
      });
      await this.#refill(call, file);
      outageMs = Math.round(performance.now() - startedAt);
      await check();
    } catch (error) {
      // what cannot be taken back now is in the journal
      await end().catch(() => {});
      throw error;
    }
    await end();
    return { outageMs };
  }

  async #refill(call: Call, file: { path: string; size: number }): Promise<void> {
    try {
      await this.#connection.run(call, ["FUNCTION", "FLUSH"], { writes: true, words: 2 }).catch(orUnknown);
      // what is not freed yet counts as used, and may evict what comes
      await freed(call, this.#connection);
      await this.#fill(call, file);
    } catch (error) {
      throw partly(error);
    }
  }

  /**
   * Has the server refuse what does not fit its memory rather than drop what came before, where this user may say so.
   * @returns what has to be taken back
   */
  async #keepAll(call: Call, save: SaveLoading): Promise<Saved> {
    const { maxmemory = "0", maxmemory_policy: policy = KEEP_ALL } = await readInfo(
      call,
      this.#connection,
      "memory",
    );
    const before = maxmemory === "0" || policy === KEEP_ALL ? {} : kept({ "maxmemory-policy": policy });
    await save(before);
    if (!isChanged(before)) return before;
    try {
      await setSettings(call, this.#connection, { "maxmemory-policy": KEEP_ALL });
      return before;
    } catch (error) {
      if (!(error instanceof RedisRefusal)) throw error;
      // what is dropped is missed when it is counted
      await save({});
      return {};
    }
  }

  /** Removes the keys and functions that the file names, and leaves what others wrote. */
  async remove(call: Call, path: string): Promise<void> {
    await this.#sending(call, "UNLINK", async (sender) => {
      for await (const { keys, libraries } of readEntries(call, path)) {
        for (const { database, key } of keys) await sender.add(call, database, ["UNLINK", key]);
        for (const library of libraries) await this.#removeLibrary(call, library);
      }
    });
  }

  async #removeLibrary(call: Call, source: Buffer): Promise<void> {
    const name = /^#![^\n]*?\bname=(\w+)/.exec(source.toString("latin1"))?.[1];
    if (name === undefined) return;
    const [reply] = await this.#connection.batch(call, [["FUNCTION", "DELETE", name]]);
    // it never got there
    if (reply instanceof RedisRefusal && reply.reply !== "ERR") throw reply;
  }

  async #fill(call: Call, file: { path: string; size: number }): Promise<void> {
    await this.#sending(call, "RESTORE", async (sender) => {
      for await (const piece of readEntries(call, file.path)) {
        for (const library of piece.libraries)
          await sender.add(call, sender.database, ["FUNCTION", "LOAD", "REPLACE", library]);
        for (const key of piece.keys) await sender.add(call, key.database, restoring(key, piece));
        call.progress({ label: "redis", done: piece.done, total: file.size, unit: "bytes" });
      }
    });
  }

  async #sending(call: Call, purpose: string, work: (sender: Sender) => Promise<void>): Promise<void> {
    const wire = await Wire.open(this.#endpoint, this.#limits, call, purpose);
    try {
      await wire.using(call, async () => {
        const sender = new Sender(wire, this.#endpoint, this.#limits);
        await work(sender);
        await sender.end(call);
      });
    } finally {
      wire.close();
    }
  }
}

/** As DUMP writes it: type, value, version of the format, checksum. */
function restoring({ key, type, value, expiresAt, idle, frequency }: RdbKey, { version }: RdbPiece): Command {
  const payload = Buffer.allocUnsafe(1 + value.length + VERSION_BYTES + 8);
  payload[0] = type;
  value.copy(payload, 1);
  const end = 1 + value.length + VERSION_BYTES;
  payload.writeUInt16LE(version, end - VERSION_BYTES);
  const crc = new Crc64();
  crc.add(payload, 0, end);
  payload.set(crc.bytes(), end);
  const ttl = expiresAt === null ? ["0"] : [String(Math.max(1, expiresAt))];
  const use =
    idle !== null ? ["IDLETIME", String(idle)] : frequency !== null ? ["FREQ", String(frequency)] : [];
  return ["RESTORE", key, ...ttl, payload, "REPLACE", ...(expiresAt === null ? [] : ["ABSTTL"]), ...use];
}

/** Servers before Redis 7 have no functions. */
function orUnknown(error: unknown): void {
  if (!(error instanceof RedisRefusal && error.unknownCommand)) throw error;
}

function partly(error: unknown): OpsError {
  const { code, message, hint, engine } = toOpsError(error);
  return new OpsError({
    code,
    message: `${message}; the server was emptied, and holds a part of the restored data`,
    ...(hint === undefined ? {} : { hint }),
    ...(engine === undefined ? {} : { engine }),
    cause: error,
  });
}
