/** The backup of a Redis server: one RDB file with all its databases and functions. */
import type {
  BackupOptions,
  BackupPart,
  Copied,
  PartFacts,
  PartOutput,
  Snapshot,
} from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { PsyncWay, type Way } from "./backup-psync.ts";
import { ScanWay } from "./backup-scan.ts";
import { connectRedis, type RedisConnection } from "./connect.ts";
import { type Endpoint, endpointOf } from "./endpoint.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, keyspaceOf, readInfo } from "./info.ts";

const PATH = "redis/dump.rdb";
/** What the list of keys that a scan has met takes on disk, bytes a key. */
const SEEN_BYTES = 40;
const NODE_ALONE = "a node of a cluster: only its own slots are in this copy";

export function redisBackup(target: Target, limits: Limits, options: BackupOptions): BackupPart {
  return new RedisPart(target, limits, options.redis.method);
}

class RedisPart implements BackupPart {
  readonly engine = "redis";
  readonly name = "all";
  readonly isSlowToPrepare = true;
  readonly source: string;
  readonly #method: BackupOptions["redis"]["method"];
  readonly #limits: Limits;
  readonly #endpoint: Endpoint;
  readonly #connection: RedisConnection;
  #info: Info = {};
  #way: Way | undefined;
  /** Why it is not copied as to a replica. */
  #refusal: string | undefined;

  constructor(target: Target, limits: Limits, method: BackupOptions["redis"]["method"]) {
    // all databases are copied: none is selected, which would need a right
    const whole = { ...target, database: "0" };
    this.#method = method;
    this.#limits = limits;
    this.#endpoint = endpointOf(whole, limits.connectMs);
    this.#connection = connectRedis(whole, limits);
    this.source = `redis://${this.#endpoint.at}`;
  }

  async open(call: Call): Promise<PartFacts> {
    this.#info = await readInfo(call, this.#connection, "default");
    const way = new PsyncWay(this.#connection, this.#endpoint, this.#limits);
    this.#way = way;
    if (this.#method === "scan") await this.#scan(call);
    else await way.check(call).catch((error) => this.#scanInstead(call, error));
    const { keys } = keyspaceOf(this.#info);
    return {
      server_version: this.#info["redis_version"] ?? null,
      tools: [],
      estimate_bytes: Number(this.#info["used_memory_dataset"] ?? this.#info["used_memory"] ?? 0),
      scratch_bytes: this.#method === "psync" ? 0 : keys * SEEN_BYTES,
      notes: [
        ...(this.#isNode ? [`this is ${NODE_ALONE}`] : []),
        ...(this.#info["role"] === "slave"
          ? ["this is a replica: what its primary had not sent yet is not in this copy"]
          : []),
      ],
    };
  }

  async prepare(call: Call): Promise<Snapshot> {
    try {
      return await this.#way!.prepare(call);
    } catch (error) {
      await this.#scanInstead(call, error);
      return this.#way!.prepare(call);
    }
  }

  async copy(call: Call, out: PartOutput): Promise<Copied> {
    const file = await out.file(PATH, "redis-rdb");
    const copied = await this.#way!.copy(call, file, out.scratch);
    return {
      ...copied,
      reason: copied.reason ?? (this.#isNode ? NODE_ALONE : null),
      notes: [...(this.#refusal === undefined ? [] : [this.#refusal]), ...(copied.notes ?? [])],
    };
  }

  async close(): Promise<void> {
    this.#way?.close();
    await this.#connection.close();
  }

  get #isNode(): boolean {
    return this.#info["cluster_enabled"] === "1";
  }

  async #scan(call: Call): Promise<void> {
    const way = new ScanWay(this.#connection, this.#endpoint, this.#limits);
    await way.check(call);
    this.#way = way;
  }

  /** @throws what refused to be the server's replica, unless keys can be read one by one */
  async #scanInstead(call: Call, error: unknown): Promise<void> {
    const isRefused = error instanceof RedisRefusal && (error.reply === "NOPERM" || error.unknownCommand);
    if (this.#method !== "auto" || !isRefused) throw error;
    this.#way?.close();
    await this.#scan(call).catch((again) => {
      throw again instanceof RedisRefusal ? error : again;
    });
    this.#refusal = `copied key by key, because ${error.message}`;
  }
}
