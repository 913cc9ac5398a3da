/**
 * History where no eviction reaches it: in the code of a function library, one for each database number. `FUNCTION LOAD REPLACE` stores it,
 * `FCALL_RO` returns it. Measured: it survives eviction under allkeys-lru, FLUSHALL, kill -9 and restart, and it replicates; keys do not.
 * Servers without function libraries (Redis < 7, FUNCTION forbidden by renaming) keep it in a hash.
 *
 * Where both are found (a server that was upgraded), the library has the last word about each version, and the hash about those that the
 * library does not know; the next write moves them into the library and deletes the hash.
 */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { HistoryRow } from "../../migrate/port.ts";
import type { Commands } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";
import { historyKey, historyLibrary } from "./migration-own.ts";

/** How far a loop was when it was broken off. Cursors of SCAN mean something to the server process that gave them only. */
export interface Checkpoint {
  /** Names the statement: digest of set, version, file, place and text. */
  of: string;
  /** `run_id` of the server. */
  run_id: string;
  cursor: string;
  /** Keys that were reached. */
  keys: number;
  /** ms */
  at: number;
}

export interface Stored {
  rows: HistoryRow[];
  checkpoint: Checkpoint | null;
}

/** What is stored, and where. */
interface Found extends Stored {
  /** `unsupported`: the server does not know FCALL_RO. */
  library: "present" | "absent" | "unsupported";
  inKey: boolean;
}

const QUOTES = { quotes: true };
const WRITES = { quotes: true, writes: true };
const LOADS = { quotes: true, writes: true, words: 2 };
const CHECKPOINT_FIELD = "checkpoint";

/** Rows are ordered by set and number. @throws OpsError `auth` with the permission that is missing, `integrity` when it cannot be read */
export async function readHistory(call: Call, commands: Commands, database: number): Promise<Found> {
  const library = await readLibrary(call, commands, database);
  const stored = typeof library === "string" ? null : library;
  const hash = await readHash(call, commands, database, stored !== null);
  return {
    rows: merged(hash?.rows ?? [], stored?.rows ?? []),
    checkpoint: (stored ?? hash)?.checkpoint ?? null,
    library: typeof library === "string" ? library : "present",
    inKey: hash !== null,
  };
}

/**
 * Makes the place of the history: a permission or memory that is missing shows before anything runs. Touches no history that is there.
 * @throws OpsError `auth`, `failed`
 */
export async function ensureHistory(call: Call, commands: Commands, database: number): Promise<void> {
  const { library } = await readHistory(call, commands, database);
  if (library === "present") return;
  const isStored = library === "absent" && (await makeLibrary(call, commands, database));
  if (!isStored) await warnIfEvictable(call, commands, database);
}

/** Writes history while a runner holds the lock: nobody else does, so what was read first stays true. */
export class HistoryWriter {
  readonly #commands: Commands;
  readonly #database: number;
  #found: Found | undefined;

  constructor(commands: Commands, database: number) {
    this.#commands = commands;
    this.#database = database;
  }

  async read(call: Call): Promise<Found> {
    this.#found ??= await readHistory(call, this.#commands, this.#database);
    return this.#found;
  }

  /** All or none. `checkpoint` undefined: the one that is stored stays. @throws OpsError; `failed` also when there is a library and the server no longer lets it change */
  async write(call: Call, rows: readonly HistoryRow[], checkpoint?: Checkpoint | null): Promise<void> {
    const found = await this.read(call);
    const next: Stored = {
      rows: merged(found.rows, rows),
      checkpoint: checkpoint === undefined ? found.checkpoint : checkpoint,
    };
    if (await this.#writeLibrary(call, found, next)) {
      if (found.inKey) await this.#commands.run(call, ["DEL", historyKey(this.#database)], WRITES);
      this.#found = { ...next, library: "present", inKey: false };
    } else {
      const fields = [
        ...rows.flatMap((row) => [keyOf(row), JSON.stringify(row)]),
        CHECKPOINT_FIELD,
        JSON.stringify(next.checkpoint),
      ];
      await this.#commands.run(call, ["HSET", historyKey(this.#database), ...fields], WRITES);
      this.#found = { ...next, library: "unsupported", inKey: true };
    }
  }

  /** False: the server has no libraries. */
  async #writeLibrary(call: Call, { library }: Found, next: Stored): Promise<boolean> {
    if (library === "unsupported") return false;
    try {
      await this.#commands.run(
        call,
        ["FUNCTION", "LOAD", "REPLACE", libraryCode(this.#database, next)],
        LOADS,
      );
      return true;
    } catch (error) {
      if (!(error instanceof RedisRefusal)) throw error;
      if (!error.unknownCommand) throw permitted(error, "+function|load");
      if (library === "absent") return false;
      throw new OpsError({
        code: "failed",
        engine: "redis",
        message: `Redis at ${this.#commands.at} keeps the history of migrations in the function library ${historyLibrary(this.#database)}, and no longer knows FUNCTION`,
        hint: "allow FUNCTION on the server (rename-command in its config file)",
      });
    }
  }
}

/** False: the server does not know FUNCTION. */
async function makeLibrary(call: Call, commands: Commands, database: number): Promise<boolean> {
  try {
    await commands.run(
      call,
      ["FUNCTION", "LOAD", libraryCode(database, { rows: [], checkpoint: null })],
      LOADS,
    );
    return true;
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    if (error.unknownCommand) return false;
    // another runner was faster
    if (/already exists/.test(error.words ?? "")) return true;
    throw permitted(error, "+function|load");
  }
}

async function readLibrary(
  call: Call,
  commands: Commands,
  database: number,
): Promise<Stored | "absent" | "unsupported"> {
  const name = historyLibrary(database);
  try {
    const text = await commands.run(call, ["FCALL_RO", name, "0"], QUOTES);
    return parsed(commands, `the function library ${name}`, () => JSON.parse(String(text)) as Stored);
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    if (error.words === "Function not found") return "absent";
    if (error.unknownCommand) return "unsupported";
    throw permitted(error, "+fcall_ro");
  }
}

/** Null: there is none. */
async function readHash(
  call: Call,
  commands: Commands,
  database: number,
  isLegacy: boolean,
): Promise<Stored | null> {
  const key = historyKey(database);
  try {
    const reply = (await commands.run(call, ["HGETALL", key], QUOTES)) as string[];
    if (reply.length === 0) return null;
    const entries = Array.from(
      { length: reply.length / 2 },
      (_, i) => [reply[2 * i]!, reply[2 * i + 1]!] as const,
    );
    return parsed(commands, `the key ${key}`, () => ({
      rows: entries
        .filter(([field]) => field !== CHECKPOINT_FIELD)
        .map(([, text]) => JSON.parse(text) as HistoryRow),
      checkpoint: JSON.parse(
        entries.find(([field]) => field === CHECKPOINT_FIELD)?.[1] ?? "null",
      ) as Checkpoint | null,
    }));
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    if (["CLUSTERDOWN", "MOVED"].includes(error.reply)) throw clusterError(commands.at);
    // a user who may not see this key: where there is a library, it is a remainder at most
    if (isLegacy && error.reply === "NOPERM") return null;
    throw permitted(error, `+hgetall ~${key}`);
  }
}

function parsed(commands: Commands, place: string, read: () => Stored): Stored {
  try {
    const stored = read();
    const isRow = (row: HistoryRow) => typeof row.set_name === "string" && typeof row.version === "string";
    if (stored.rows.every(isRow)) return stored;
  } catch {
    // what cannot be read is said below, like what was read and is no history
  }
  throw new OpsError({
    code: "integrity",
    engine: "redis",
    message: `Redis at ${commands.at}: ${place} is not the history that opsctl wrote`,
    hint: "restore it from a backup; or delete it and say what is applied: opsctl migrate baseline redis VERSION",
  });
}

async function warnIfEvictable(call: Call, commands: Commands, database: number): Promise<void> {
  const memory = await readInfo(call, commands, "memory").catch((error: unknown) => {
    if (error instanceof RedisRefusal) return null;
    throw error;
  });
  const policy =
    memory === null
      ? "the eviction policy, which this user may not read,"
      : (memory["maxmemory_policy"] ?? "");
  if (memory !== null && !policy.startsWith("allkeys-")) return;
  call.log(
    "WARNING",
    `Redis at ${commands.at} has no function libraries: the history of migrations is kept in the key ${historyKey(database)}, which ${policy} may evict`,
  );
}

/** Why a node of a cluster is not migrated. */
export function clusterError(at: string): OpsError {
  return new OpsError({
    code: "failed",
    engine: "redis",
    message: `Redis at ${at} is a node of a cluster: it has some of the keys only, and its functions and settings are its own`,
    hint: "migrations need a server that is no cluster",
  });
}

/** A refusal for want of a permission names it. */
function permitted(error: RedisRefusal, rules: string): OpsError {
  if (error.reply !== "NOPERM") return error;
  const hint = `the history of migrations needs it: ACL SETUSER <user> ${rules}`;
  return new OpsError({ code: "auth", engine: "redis", message: error.message, hint });
}

/**
 * Code of the library. Inside a long string of level 2 only `]==]` would end it, and in JSON a `]` next to other text stands in a string,
 * where it can be written as \u005d.
 */
function libraryCode(database: number, stored: Stored): string {
  const name = historyLibrary(database);
  const json = JSON.stringify(stored).replace(/"(?:[^"\\]|\\.)*"/g, (text) =>
    text.replaceAll("]", "\\u005d"),
  );
  return `#!lua name=${name}
local history = [==[${json}]==]
redis.register_function{function_name='${name}', callback=function() return history end, flags={'no-writes', 'allow-stale'}}`;
}

/** Both, later ones in the place of earlier ones of the same version; ordered by set and number. */
function merged(earlier: readonly HistoryRow[], later: readonly HistoryRow[]): HistoryRow[] {
  const rows = new Map([...earlier, ...later].map((row) => [keyOf(row), row]));
  return [...rows.values()].sort((a, b) =>
    a.set_name === b.set_name ? a.seq - b.seq : a.set_name < b.set_name ? -1 : 1,
  );
}

/** Names a version: the key of a row. */
export function keyOf({ set_name, version }: Pick<HistoryRow, "set_name" | "version">): string {
  return `${set_name}:${version}`;
}
