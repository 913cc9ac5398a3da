/** Restoring as the server's master: it loads the file beside its data, and they change places in one instant. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { RedisConnection } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Info, parseInfo, readInfo } from "./info.ts";
import { newSecret, PosedMaster } from "./restore-master.ts";
import { wayTo } from "./restore-reach.ts";
import {
  afterwards,
  KEEP_ALL,
  kept,
  readSettings,
  type SaveLoading,
  setSettings,
  takeBack,
} from "./restore-settings.ts";

const POLL_MS = 20;
/** For the server to come, ms: it tries at once, and once a second. */
const COME_MS = 10_000;
/** For taking everything back, ms: after a load also the memory of the old data has to become free. */
const CLEAN_UP_MS = { failed: 20_000, loaded: 120_000 };
/**
 * Between the stream of before and the one that the server is told: no replica of it can take the one for the other's continuation.
 */
const OFFSET_GAP = 2 ** 32;
const REPLID_CHARS = 40;
const SETTINGS = ["repl-diskless-load", "masterauth", "maxmemory", "maxmemory-policy", "tls-replication"];

/** Why this way is closed, although the server is well: another one may be open. */
export class NotAsReplica extends OpsError {}

interface LoadedBy {
  outageMs: number;
  /** Reads were answered with the old data meanwhile. */
  served: boolean;
}

/**
 * Checks without a change whether the server can be told to load.
 * @param isPrivate the way to the server is encrypted, and what it loads must not leave that
 * @throws NotAsReplica; OpsError; RedisRefusal
 */
export async function checkReplicaWay(
  call: Call,
  connection: RedisConnection,
  isPrivate: boolean,
): Promise<void> {
  const settings = await readSettings(call, connection, SETTINGS);
  const closed = (message: string) => new NotAsReplica({ code: "failed", message, engine: "redis" });
  if (isPrivate) throw closed("replication would carry the data without TLS");
  if (!settings.has("repl-diskless-load")) throw closed("the server is older than Redis 6");
  if (settings.get("tls-replication") === "yes")
    throw closed("the server wants TLS of its master, and this program has no certificate for it");
  const [known, user, sentinels] = await connection.batch(call, [
    ["COMMAND", "INFO", "REPLICAOF"],
    ["ACL", "WHOAMI"],
    ["PUBSUB", "NUMSUB", "__sentinel__:hello"],
  ]);
  if (Array.isArray(known) && known[0] === null)
    throw closed("the server does not know REPLICAOF: it is disabled or renamed");
  if (Array.isArray(sentinels) && Number(sentinels[1]) > 0)
    throw closed("sentinels watch this server, and would take it for a failed one");
  if (!(user instanceof Buffer)) return;
  const [verdict] = await connection.batch(call, [["ACL", "DRYRUN", user, "REPLICAOF", "NO", "ONE"]]);
  if (verdict instanceof Buffer && verdict.toString() !== "OK")
    throw closed("the server does not permit this user to run REPLICAOF");
}

export class ReplicaWay {
  readonly #connection: RedisConnection;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  readonly #listen: string | undefined;

  /** @param listen where the server reaches this program; undefined: the address that this host has towards it */
  constructor(connection: RedisConnection, endpoint: Endpoint, limits: Limits, listen: string | undefined) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.#limits = limits;
    this.#listen = listen;
  }

  /**
   * Has the server load the file. When it fails, the server has what it had, or all of the file.
   * @param save writes into the journal what another process needs to take it back, before it is done, and nothing when it is; then also whether
   *   the server may hold anything of the file
   * @param check the server holds the file, and nobody can write yet
   * @throws NotAsReplica, RedisRefusal: this way is closed; OpsError
   */
  async load(
    call: Call,
    file: { path: string; size: number },
    save: SaveLoading,
    check: () => Promise<void>,
  ): Promise<LoadedBy> {
    const settings = await readSettings(call, this.#connection, SETTINGS);
    const info = await readInfo(call, this.#connection, "replication");
    const secret = settings.get("masterauth") || newSecret();
    const way = await wayTo(call, this.#endpoint, this.#limits, this.#connection, this.#listen);
    const master = await PosedMaster.listen(call, way.bind, way.port, {
      ...file,
      secret,
      from: way.from,
      replid: info["master_replid"] ?? newSecret().slice(0, REPLID_CHARS),
      offset: Number(info["master_repl_offset"] ?? 0) + OFFSET_GAP,
    });
    const { before, during } = changes(settings, secret);
    const saved = { master_host: way.host, master_port: master.port, ...kept(before) };
    let failure: unknown;
    let loaded: LoadedBy | undefined;
    try {
      await save(saved);
      await setSettings(call, this.#connection, during);
      loaded = await this.#replicate(call, master, way.host, file.size, check);
    } catch (error) {
      failure = error;
    }
    master.close();
    const limitMs = CLEAN_UP_MS[loaded === undefined ? "failed" : "loaded"];
    await takeBack(afterwards(call, limitMs), this.#connection, saved).catch((error: unknown) => {
      throw stillReplica(failure ?? error, `${way.host}:${master.port}`);
    });
    await save({}, master.begun > 0);
    if (loaded === undefined) throw failure;
    return loaded;
  }

  async #replicate(
    call: Call,
    master: PosedMaster,
    host: string,
    size: number,
    check: () => Promise<void>,
  ): Promise<LoadedBy> {
    const startedAt = performance.now();
    await this.#connection.run(call, ["REPLICAOF", host, String(master.port)], { writes: true });
    const served = await this.#loaded(call, master, host, size);
    await check();
    await this.#connection.run(call, ["REPLICAOF", "NO", "ONE"], { writes: true });
    return { outageMs: Math.round(performance.now() - startedAt), served };
  }

  /** Waits until all of it is there. @returns whether it was seen to answer reads meanwhile */
  async #loaded(call: Call, master: PosedMaster, host: string, size: number): Promise<boolean> {
    const startedAt = performance.now();
    let movedAt = startedAt;
    let moved = "";
    let served = false;
    for (;;) {
      throwIfAborted(call);
      const [replication, persistence] = await this.#infos(call);
      const now = performance.now();
      if (replication["role"] !== "slave" || replication["master_host"] !== host)
        throw notOurs(this.#endpoint);
      if (replication["master_link_status"] === "up") return served;
      served ||= persistence["async_loading"] === "1";
      if (!master.hasCome && now - startedAt > COME_MS) throw notReached(this.#endpoint, host, master.port);
      if (master.begun > 1) throw notTaken(this.#endpoint);
      const place = `${master.sent} ${replication["master_sync_left_bytes"]} ${persistence["loading_loaded_bytes"]}`;
      if (place !== moved) movedAt = now;
      moved = place;
      if (now - movedAt > this.#limits.connectMs + this.#limits.queryMs + COME_MS)
        throw stuck(this.#endpoint, master.sent, size);
      await sleep(POLL_MS);
    }
  }

  async #infos(call: Call): Promise<[Info, Info]> {
    const replies = await this.#connection.batch(call, [
      ["INFO", "replication"],
      ["INFO", "persistence"],
    ]);
    const infos = replies.map((reply) => {
      if (reply instanceof Error) throw reply;
      return parseInfo(String(reply));
    });
    return infos as [Info, Info];
  }
}

/** What is other than it was while the server loads. */
function changes(settings: ReadonlyMap<string, string>, secret: string) {
  const during: Record<string, string> = { "repl-diskless-load": "swapdb" };
  // until the old data are freed both count, and what came last would be evicted
  if (settings.get("maxmemory") !== "0") during["maxmemory-policy"] = KEEP_ALL;
  // a word that the server has for its master stays: it is no business of the journal
  if (settings.get("masterauth") === "") during["masterauth"] = secret;
  const before: Record<string, string> = {};
  for (const name of Object.keys(during)) {
    const value = settings.get(name);
    if (value === undefined || value === during[name]) delete during[name];
    else before[name] = value;
  }
  return { before, during };
}

function stillReplica(error: unknown, master: string): OpsError {
  const { code, message } = toOpsError(error);
  return new OpsError({
    code,
    message: `${message}; the server may still be a replica of ${master}, and refuse writes`,
    hint: "when it answers again: opsctl restore --abort, or by hand REPLICAOF NO ONE",
    engine: "redis",
    cause: error,
  });
}

function notOurs({ at }: Endpoint): OpsError {
  return failed(
    `Redis at ${at} stopped being a replica of this program before it had loaded`,
    "was it restarted, or does something else manage its replication? its log tells",
  );
}

function notReached({ at }: Endpoint, host: string, port: number): NotAsReplica {
  return new NotAsReplica({
    code: "failed",
    message: `Redis at ${at} did not come to ${host}:${port} within ${COME_MS / 1_000} s`,
    hint: "is a firewall in the way, or another address needed? --listen HOST:PORT says where the server reaches this program",
    engine: "redis",
  });
}

function notTaken({ at }: Endpoint): OpsError {
  return failed(`Redis at ${at} could not load the file, and kept what it had`, "the server's log says why");
}

function stuck({ at }: Endpoint, sent: number, size: number): OpsError {
  return new OpsError({
    code: "unreachable",
    message: `Redis at ${at} stopped loading: ${sent} of ${size} bytes were sent`,
    hint: "the server's log says why; it kept what it had",
    engine: "redis",
  });
}

function failed(message: string, hint: string): OpsError {
  return new OpsError({ code: "failed", message, hint, engine: "redis" });
}
