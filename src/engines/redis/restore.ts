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
import { readInfo } from "./info.ts";
import { contentsOf, fullNotes, requireDatabases, requireFit, requireMaster } from "./restore-checks.ts";
import { CommandsWay } from "./restore-commands.ts";
import { readHead } from "./restore-entries.ts";
import { examineFile, onlyFile } from "./restore-file.ts";
import { type Contents, compared, countsOf, expiredKeys, sentence, unexplained } from "./restore-found.ts";
import { makeLast } from "./restore-lasting.ts";
import { tryListening } from "./restore-master.ts";
import { reachNotes, wayTo } from "./restore-reach.ts";
import { checkReplicaWay, NotAsReplica, ReplicaWay } from "./restore-replica.ts";
import { afterwards, isChanged, type SaveLoading, takeBack } from "./restore-settings.ts";

const AS_REPLICA = "loaded beside the live data as from a master (REPLICAOF), then swapped";
const BY_COMMANDS = "by RESTORE commands into the emptied server";
/** For a line in the journal after a failure, ms. */
const SAVE_MS = 5_000;

export async function redisRestore(task: RestoreTask, origin: Origin): Promise<RestorePart> {
  return new RedisRestore(task, origin);
}

/**
 * `saved`: `phase` is `prepared`, `loading` or `done`; `touched` whether a load began that was not undone; `contents` what the file holds, as JSON;
 * while it loads also the settings of before and, as a replica, whom it was told as its master; afterwards `missing`, what it did not hold then.
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
  /** What the server did not hold right after the load, in words. */
  #missing = "";

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
    if (closed === null) await this.#requireListening(call);
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
    if ((await this.#closed(call)) === null) await this.#requireListening(call);
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
    const { how, outage_ms } = await this.#load(call);
    // all of it is there: what fails from here on does not make it half
    await this.#save(afterwards(call, SAVE_MS), {
      ...this.#facts,
      phase: "done",
      how,
      outage_ms,
      missing: this.#missing,
    });
    return this.#swapped([
      ...(await makeLast(call, this.#connection)),
      ...fullNotes(await readInfo(call, this.#connection, "memory")),
    ]);
  }

  async verify(call: Call): Promise<Found> {
    const { found, differences, rest } = await this.#compared(call);
    const notes =
      rest.length < differences.length ? ["keys that expired meanwhile are not there any more"] : [];
    const { missing } = this.#saved;
    // whatever others wrote since
    if (typeof missing === "string" && missing !== "")
      return { ...found, problems: [`right after the load: ${missing}`], notes };
    if (rest.length === 0) return { ...found, problems: [], notes };
    const told = rest.map(sentence);
    if (missing === undefined) return { ...found, problems: told, notes };
    notes.push(`the server held exactly what the file holds, and others wrote since: ${told.join("; ")}`);
    return { ...found, problems: [], notes };
  }

  async requireWayBack(call: Call): Promise<void> {
    await readInfo(call, this.#connection, "server").catch((error: unknown) => {
      // it gives up a load whose sender is gone: `rollback` waits for that
      const isLoading = error instanceof RedisRefusal && error.reply === "LOADING";
      if (!isLoading || !isChanged(this.#saved)) throw error;
    });
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
    if (!isChanged(this.#saved)) return;
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

  /** What the server holds against the file; `rest` is what the expiry of keys does not explain. */
  async #compared(call: Call) {
    const found = countsOf(await readInfo(call, this.#connection, "default"));
    const differences = compared(found, this.#contents);
    const rest =
      differences.length === 0 ? [] : unexplained(differences, await expiredKeys(call, this.#copy));
    return { found, differences, rest };
  }

  /** Counts at once what was loaded: later others have written. */
  async #count(call: Call): Promise<void> {
    const { rest } = await this.#compared(call);
    this.#missing = rest.map(sentence).join("; ");
  }

  /** @throws OpsError `failed` when the server could not be told where to come to */
  async #requireListening(call: Call): Promise<void> {
    const { listen } = this.#task.options.redis;
    const { bind, port } = await wayTo(call, this.#endpoint, this.#limits, this.#connection, listen);
    await tryListening(bind, port);
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

  async #load(call: Call): Promise<{ how: string; outage_ms: number }> {
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
    const { outageMs } = await this.#commands.load(call, file, this.#saveLoading(call), () =>
      this.#count(call),
    );
    return { how: `${BY_COMMANDS}${closed}`, outage_ms: outageMs };
  }

  async #loadAsReplica(call: Call, file: { path: string; size: number }) {
    const way = new ReplicaWay(
      this.#connection,
      this.#endpoint,
      this.#limits,
      this.#task.options.redis.listen,
    );
    const loaded = await way.load(call, file, this.#saveLoading(call), () => this.#count(call));
    const how = loaded.served ? `${AS_REPLICA}; reads were answered meanwhile` : AS_REPLICA;
    return { how, outage_ms: loaded.outageMs };
  }

  /** Also when the call is over: what was changed has to be known. */
  #saveLoading(call: Call): SaveLoading {
    const { phase = null } = this.#saved;
    const before = { phase, touched: this.isTouched };
    return (saved, hasBegun = true) => {
      const now = hasBegun ? { phase: "loading", touched: true } : before;
      return this.#save(afterwards(call, SAVE_MS), { ...this.#facts, ...now, ...saved });
    };
  }
}

/** Whether the server is well, and only lets nobody be its master. */
function isClosed(error: unknown): error is Error {
  if (error instanceof NotAsReplica) return true;
  return error instanceof RedisRefusal && (error.reply === "NOPERM" || error.unknownCommand);
}
