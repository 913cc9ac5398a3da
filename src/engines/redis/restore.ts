/** The restore of a Redis server: one RDB file with all its databases and functions. */
import { existsSync } from "node:fs";
import { copyFile, link, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Found, RestorePart, RestorePlan, RestoreTask, Saved, Swapped } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { connectRedis, type RedisConnection } from "./connect.ts";
import { type Endpoint, endpointOf } from "./endpoint.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, readInfo } from "./info.ts";
import { contentsOf, fullNotes, requireDatabases, requireFit, requireMaster } from "./restore-checks.ts";
import { CommandsWay } from "./restore-commands.ts";
import { readHead } from "./restore-entries.ts";
import { examineFile, onlyFile } from "./restore-file.ts";
import { type Contents, compared, countsOf, expiredKeys, sentence, unexplained } from "./restore-found.ts";
import { makeLast } from "./restore-lasting.ts";
import { reachNotes } from "./restore-reach.ts";
import { checkReplicaWay, type LoadedBy, NotAsReplica, ReplicaWay } from "./restore-replica.ts";
import { afterwards, takeBack } from "./restore-settings.ts";

const AS_REPLICA = "loaded beside the live data as from a master (REPLICAOF), then swapped";
const BY_COMMANDS = "by RESTORE commands into the emptied server";
/** For a line in the journal after a failure, ms. */
const SAVE_MS = 5_000;

export async function redisRestore(task: RestoreTask, origin: Origin): Promise<RestorePart> {
  return new RedisRestore(task, origin);
}

/**
 * `saved`: `phase` is `prepared`, `loading` or `done`; `touched` whether a load began that was not undone; `contents` what the file holds, as JSON;
 * while it loads as a replica also whom it was told as its master, and the settings of before.
 */
class RedisRestore implements RestorePart {
  readonly engine = "redis";
  readonly isFirst = false;
  readonly name: string;
  readonly target: string;
  readonly #task: RestoreTask;
  readonly #endpoint: Endpoint;
  readonly #connection: RedisConnection;
  readonly #limits: Origin["limits"];
  #saved: Saved;
  /** Whether nothing was there when it was planned, so that nothing of it is kept; undefined: another process planned it. */
  #wasEmpty: boolean | undefined;

  constructor(task: RestoreTask, { target, limits }: Origin) {
    // all databases are restored: none is selected, which would need a right
    const whole = { ...target, database: "0" };
    this.name = task.name;
    this.#task = task;
    this.#limits = limits;
    this.#saved = task.saved;
    this.#endpoint = endpointOf(whole, limits.connectMs);
    this.#connection = connectRedis(whole, limits);
    this.target = `redis://${this.#endpoint.at}`;
  }

  get isTouched(): boolean {
    const { phase, touched } = this.#saved;
    return touched === true || phase === "loading" || phase === "done";
  }

  async plan(call: Call): Promise<RestorePlan> {
    const file = onlyFile(this.#task.files);
    const info = await readInfo(call, this.#connection, "default");
    const { master_host: host, master_port: port } = this.#saved;
    requireMaster(this.#connection.at, info, host === undefined ? undefined : `${host}:${port}`);
    const notes = requireFit(this.#connection.at, info, await readHead(file.local), file.size_bytes);
    await requireDatabases(call, this.#connection, this.#task.expected.breakdown);
    const closed = await this.#closed(call);
    const { isEmpty, words } = contentsOf(info);
    this.#wasEmpty = isEmpty;
    return {
      server_version: info["redis_version"] ?? null,
      overwrites: words,
      how: closed === null ? AS_REPLICA : `${BY_COMMANDS}${closed}`,
      undo: isEmpty ? "empty" : "safety",
      needs: { bytes: file.size_bytes, path: null },
      notes: [
        ...notes,
        closed === null
          ? "meanwhile the server's memory holds both; it refuses writes (READONLY), and answers reads until the swap where it is Redis 7 or newer"
          : "while the keys come, clients see a part of them, and what they write may be replaced",
        ...(closed === null && this.#task.options.redis.listen === undefined
          ? await reachNotes(call, this.#connection)
          : []),
      ],
    };
  }

  async prepare(call: Call): Promise<void> {
    await this.#undoHalf(call);
    const file = onlyFile(this.#task.files);
    const contents = await examineFile(call, file, this.#task);
    await requireDatabases(call, this.#connection, contents.breakdown, contents.highest);
    // what was staged may be gone when what it brought is removed again
    await rm(this.#copy, { force: true });
    await link(file.local, this.#copy).catch(() => copyFile(file.local, this.#copy));
    const { counts, breakdown } = contents;
    // what a load brought is no data of before
    const empty = this.isTouched
      ? (this.#saved["empty"] ?? null)
      : (this.#wasEmpty ?? (await this.#isEmpty(call)));
    const facts = { empty, contents: JSON.stringify({ counts, breakdown }), touched: this.isTouched };
    await this.#save(call, { ...facts, phase: "prepared" });
  }

  async swap(call: Call): Promise<Swapped> {
    if (this.#saved["phase"] === "done") return this.#swapped([]);
    await this.#undoHalf(call);
    await this.#requireAsBefore(call);
    const { how, outage_ms, isExact } = await this.#load(call);
    // all of it is there: what fails from here on does not make it half
    await this.#save(afterwards(call, SAVE_MS), {
      ...this.#facts,
      phase: "done",
      how,
      outage_ms,
      exact: isExact,
    });
    return this.#swapped([
      ...(await makeLast(call, this.#connection)),
      ...fullNotes(await readInfo(call, this.#connection, "memory")),
    ]);
  }

  async verify(call: Call): Promise<Found> {
    const info = await readInfo(call, this.#connection, "default");
    const found = countsOf(info);
    const differences = compared(found, this.#contents);
    if (differences.length === 0) return { ...found, problems: [], notes: [] };
    const rest = unexplained(differences, await expiredKeys(call, this.#copy));
    const notes =
      rest.length < differences.length ? ["keys that expired meanwhile are not there any more"] : [];
    if (rest.length === 0) return { ...found, problems: [], notes };
    // it was counted when nobody could write
    if (this.#saved["exact"] === true)
      return {
        ...found,
        problems: [],
        notes: [
          ...notes,
          `the server held exactly what the file holds, and others wrote since: ${rest.map(sentence).join("; ")}`,
        ],
      };
    return { ...found, problems: rest.map(sentence), notes };
  }

  async requireWayBack(call: Call): Promise<void> {
    await this.#connection.run(call, ["PING"]);
    if (this.isTouched && this.#saved["empty"] === true) this.#requireCopy();
  }

  /** Removes what the file names. What others wrote meanwhile stays. */
  async rollback(call: Call): Promise<void> {
    await this.#undoHalf(call);
    if (!this.isTouched) return;
    this.#requireCopy();
    await this.#commands.remove(call, this.#copy);
    await this.#save(call, { ...this.#facts, phase: "prepared", touched: false });
  }

  async abandon(call: Call): Promise<void> {
    await this.#undoHalf(call);
  }

  async forget(): Promise<void> {
    await rm(this.#copy, { force: true });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  get #copy(): string {
    return join(this.#task.work, "dump.rdb");
  }

  get #commands(): CommandsWay {
    return new CommandsWay(this.#connection, this.#endpoint, this.#limits);
  }

  get #contents(): Contents {
    const { contents } = this.#saved;
    return typeof contents === "string" ? JSON.parse(contents) : { counts: {}, breakdown: {} };
  }

  /** What stays in the journal from one phase to the next. */
  get #facts(): Saved {
    const { contents = null, empty = null } = this.#saved;
    return { contents, empty, touched: this.isTouched };
  }

  /** @throws OpsError `failed`: what it holds says what has to be removed again */
  #requireCopy(): void {
    if (existsSync(this.#copy)) return;
    throw new OpsError({
      code: "failed",
      message: `the copy of the restored file, ${this.#copy}, is gone: it says which keys came with the restore`,
      hint: `remove them by hand: Redis at ${this.#connection.at} was empty before`,
      engine: "redis",
    });
  }

  async #save(call: Call, saved: Saved): Promise<void> {
    await this.#task.save(call, saved);
    this.#saved = saved;
  }

  #swapped(notes: string[]): Swapped {
    const { how, outage_ms } = this.#saved;
    return { how: String(how), outage_ms: typeof outage_ms === "number" ? outage_ms : null, notes };
  }

  /** Takes back what a process that died in a load left. */
  async #undoHalf(call: Call): Promise<void> {
    if (this.#saved["master_port"] === undefined) return;
    await takeBack(call, this.#connection, this.#saved);
    await this.#save(call, { ...this.#facts, phase: "loading" });
  }

  /** Whether nothing is there that a restore could take away. */
  async #isEmpty(call: Call): Promise<boolean> {
    return contentsOf(await readInfo(call, this.#connection, "default")).isEmpty;
  }

  /** @throws OpsError `failed`: it was empty, so nothing is kept of it, and now it is not */
  async #requireAsBefore(call: Call): Promise<void> {
    const info = await readInfo(call, this.#connection, "default");
    requireMaster(this.#connection.at, info, undefined);
    const { isEmpty, words } = contentsOf(info);
    if (this.isTouched || this.#saved["empty"] !== true || isEmpty) return;
    throw new OpsError({
      code: "failed",
      message: `Redis at ${this.#connection.at} was empty when the restore began, and now holds ${words}`,
      hint: "stop what writes there (OPSCTL_RESTORE_STOP), and restore again",
      engine: "redis",
    });
  }

  /** Why it has to be by commands, for a sentence: empty when that is what was asked for; null: it can be a replica. */
  async #closed(call: Call): Promise<string | null> {
    const { method } = this.#task.options.redis;
    if (method === "commands") return "";
    try {
      await checkReplicaWay(call, this.#connection, this.#endpoint.tls && method === "auto");
      return null;
    } catch (error) {
      if (method === "replica" || !isClosed(error)) throw error;
      return `, because ${error.message}`;
    }
  }

  async #load(call: Call): Promise<{ how: string; outage_ms: number; isExact: boolean }> {
    const path = this.#copy;
    const file = { path, size: (await stat(path)).size };
    let closed = await this.#closed(call);
    if (closed === null) {
      try {
        return await this.#loadAsReplica(call, file);
      } catch (error) {
        if (this.#task.options.redis.method === "replica" || !isClosed(error)) throw error;
        closed = `, because ${error.message}`;
      }
    }
    const { outageMs } = await this.#commands.load(call, file, () =>
      this.#save(call, { ...this.#facts, phase: "loading" }),
    );
    return { how: `${BY_COMMANDS}${closed}`, outage_ms: outageMs, isExact: false };
  }

  async #loadAsReplica(call: Call, file: { path: string; size: number }) {
    const way = new ReplicaWay(
      this.#connection,
      this.#endpoint,
      this.#limits,
      this.#task.options.redis.listen,
    );
    let isExact = false;
    const save = (saved: Saved) =>
      this.#save(afterwards(call, SAVE_MS), { ...this.#facts, phase: "loading", ...saved });
    const check = async () => {
      const info: Info = await readInfo(call, this.#connection, "default");
      isExact = compared(countsOf(info), this.#contents).length === 0;
    };
    const loaded: LoadedBy = await way.load(call, file, save, check);
    const how = loaded.served ? `${AS_REPLICA}; reads were answered meanwhile` : AS_REPLICA;
    return { how, outage_ms: loaded.outageMs, isExact };
  }
}

/** Whether the server is well, and only lets nobody be its master. */
function isClosed(error: unknown): error is Error {
  if (error instanceof NotAsReplica) return true;
  return error instanceof RedisRefusal && (error.reply === "NOPERM" || error.unknownCommand);
}
