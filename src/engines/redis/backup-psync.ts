import { setTimeout as sleep } from "node:timers/promises";
import type { Copied, FileWriter, Snapshot } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import { type FullSync, ReplicaLink } from "./backup-replica.ts";
import type { RedisConnection } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { readInfo } from "./info.ts";
import { RdbParser } from "./rdb-parser.ts";

/** A way to copy a server. */
export interface Way {
  prepare(call: Call): Promise<Snapshot>;
  /** @param scratch folder for files of its own */
  copy(call: Call, file: FileWriter, scratch: string): Promise<Copied>;
  close(): void;
}

/** A server that gives out older snapshots this often has replicas that sync all the time. */
const ATTEMPTS = 5;
/** Between two looks at a save that is under way, ms. */
const LOOK_MS = 200;
const TICK_MS = 5;
/** A longer wait is worth a note, ms. */
const NOTABLE_WAIT_MS = 500;

/** As a replica: the server forks, and its copy is as of that instant. */
export class PsyncWay implements Way {
  readonly #connection: RedisConnection;
  readonly #endpoint: Endpoint;
  readonly #limits: Limits;
  #link: ReplicaLink | undefined;
  #waitedMs = 0;

  constructor(connection: RedisConnection, endpoint: Endpoint, limits: Limits) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.#limits = limits;
  }

  /** Tries all but PSYNC itself. @throws OpsError; RedisRefusal: this user may not be a replica */
  async check(call: Call): Promise<void> {
    (await ReplicaLink.open(this.#endpoint, this.#limits, call)).close();
  }

  /**
   * A server that just writes a snapshot for another replica gives the same one to this one, although writes have come since: its offset
   * tells, and then the next snapshot is asked for.
   */
  async prepare(call: Call): Promise<Snapshot> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const askedAt = performance.now();
      const before = Number((await this.#info(call, "replication"))["master_repl_offset"] ?? 0);
      const roundTripMs = performance.now() - askedAt;
      const { replid, offset, notBefore } = await this.#sync(call);
      if (offset >= before)
        return { at: Math.floor(notBefore - roundTripMs), identity: { method: "psync", replid, offset } };
      this.#link?.close();
      while ((await this.#info(call, "persistence"))["rdb_bgsave_in_progress"] === "1") {
        call.progress({ label: "redis", done: 0, unit: "bytes" });
        await sleep(LOOK_MS);
      }
    }
    throw new OpsError({
      code: "failed",
      message: `Redis at ${this.#endpoint.at} gave only snapshots that it had begun earlier for other replicas, ${ATTEMPTS} times`,
      hint: "look at INFO replication: which replicas sync again and again?",
      engine: "redis",
    });
  }

  async copy(call: Call, file: FileWriter): Promise<Copied> {
    const parser = new RdbParser(`what Redis at ${this.#endpoint.at} sends`);
    await this.#link!.receive(call, parser, (chunk) => file.write(chunk));
    this.close();
    await file.end();
    return {
      consistency: "consistent",
      reason: null,
      counts: parser.counts.totals(),
      breakdown: parser.counts.breakdown(),
      notes: [
        ...(this.#waitedMs < NOTABLE_WAIT_MS
          ? []
          : [
              `the server took ${(this.#waitedMs / 1_000).toFixed(1)} s to begin its snapshot (repl-diskless-sync-delay is 5 s by default)`,
            ]),
        ...(parser.checksum === "right"
          ? []
          : [
              "the server writes no checksum into its RDB (rdbchecksum no): only its structure was checked on the way",
            ]),
      ],
    };
  }

  close(): void {
    this.#link?.close();
  }

  /**
   * The answer is read when this process gets to it, which may be later than it came. Writes that were acknowledged until then are not in the
   * snapshot, so what counts is the last instant at which the answer had certainly not come: between two ticks the socket is looked at once.
   */
  async #sync(call: Call): Promise<FullSync & { notBefore: number }> {
    this.#link = await ReplicaLink.open(this.#endpoint, this.#limits, call);
    let tick = Date.now();
    let notBefore = tick;
    const ticking = setInterval(() => {
      notBefore = tick;
      tick = Date.now();
    }, TICK_MS);
    try {
      const sync = await this.#link.fullSync(call);
      this.#waitedMs = sync.waitedMs;
      return { ...sync, notBefore };
    } finally {
      clearInterval(ticking);
    }
  }

  #info(call: Call, section: string) {
    return readInfo(call, this.#connection, section);
  }
}
