import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, type OpsError, toDegraded, toOpsError } from "../errors.ts";
import { prepare } from "./analyze.ts";
import type { Journal, NewWrite } from "./journal.ts";
import type { Outcome, Write } from "./model.ts";
import { overlay } from "./overlay.ts";
import type { MemoryStore, PreparedWrite } from "./port.ts";

/** A store that may be down: opened on first use. */
export interface StoreHandle {
  engine: EngineName;
  /** Names the store, not the way to it (config/targets.ts). */
  identity: string;
  open(call: Call): Promise<MemoryStore>;
}

export interface StoresOptions {
  /** Configured servers, the one that listings prefer first. Empty: the embedded file is the store. */
  servers: readonly StoreHandle[];
  embedded: StoreHandle;
  journal: Journal;
  /** An empty store in memory, for queued writes. */
  scratch(): Promise<MemoryStore>;
}

export interface Read<T> {
  value: T;
  degraded: Degraded[];
}

export interface Written {
  /** One for each write; null while no store has it. */
  outcomes: (Outcome | null)[];
  /** Engines that do not have some of the writes yet. */
  queued: EngineName[];
  /** Why. */
  failures: Degraded[];
}

/** Queued writes a read lays over a store; more would make reads slow, and the read says so. */
const OVERLAY_LIMIT = 10_000;
const BATCH_SIZE = 500;
/** Time a write spends on an older backlog before it leaves the rest, itself included, to the next one. */
const DELIVERY_BUDGET_MS = 10_000;

/** The stores of the memory: where reads come from and how a write reaches all of them. */
export class Stores {
  readonly #options: StoresOptions;
  /** Circuit breaker: a store that failed is not asked again by this process. */
  readonly #down = new Map<string, OpsError>();

  constructor(options: StoresOptions) {
    this.#options = options;
  }

  /** True when writes go to servers through the journal. */
  get usesServers(): boolean {
    return this.#options.servers.length > 0;
  }

  get engines(): EngineName[] {
    return this.usesServers ? this.#options.servers.map(({ engine }) => engine) : ["sqlite"];
  }

  get journal(): Journal {
    return this.#options.journal;
  }

  /** Reads from the first store that answers, queued writes included; from these alone when none does. */
  async read<T>(call: Call, work: (store: MemoryStore) => Promise<T>): Promise<Read<T>> {
    if (!this.usesServers)
      return { value: await work(await this.#options.embedded.open(call)), degraded: [] };
    const degraded: Degraded[] = [];
    for (const handle of this.#options.servers) {
      const answer = await this.#try(call, handle, async (store) =>
        work(await this.#layered(call, handle, store)),
      );
      if ("value" in answer) return { value: answer.value, degraded };
      degraded.push(toDegraded(handle.engine, answer.error));
    }
    return { value: await work(await this.#queueAlone(call)), degraded };
  }

  /** All stores that can be opened, queued writes included; never empty (the queue alone when all are down). */
  async readable(call: Call): Promise<Read<{ identity: string; store: MemoryStore }[]>> {
    if (!this.usesServers) {
      const { embedded } = this.#options;
      return { value: [{ identity: embedded.identity, store: await embedded.open(call) }], degraded: [] };
    }
    const degraded: Degraded[] = [];
    const answers = await Promise.all(
      this.#options.servers.map(async (handle) => ({
        handle,
        answer: await this.#try(call, handle, (store) => this.#layered(call, handle, store)),
      })),
    );
    const value = answers.flatMap(({ handle, answer }) => {
      if ("value" in answer) return [{ identity: handle.identity, store: answer.value }];
      degraded.push(toDegraded(handle.engine, answer.error));
      return [];
    });
    if (value.length === 0) {
      value.push({ identity: "queue", store: await this.#queueAlone(call) });
    }
    return { value, degraded };
  }

  /** A store failed under a reader: `readable` and `read` leave it out from now on. */
  markDown(identity: string, error: unknown): void {
    this.#down.set(identity, toOpsError(error));
  }

  /**
   * Stores writes: in the embedded file directly; for servers in the journal first, then in each of them that can be reached.
   * When it returns, every write is stored or queued on disk.
   */
  async write(call: Call, writes: readonly NewWrite[]): Promise<Written> {
    if (!this.usesServers) {
      const store = await this.#options.embedded.open(call);
      const now = Date.now();
      const outcomes = await store.apply(
        call,
        writes.map((write) => prepareWrite({ ...write, order: now } as Write)),
      );
      return { outcomes, queued: [], failures: [] };
    }
    const identities = this.#options.servers.map(({ identity }) => identity);
    const entries = await this.#options.journal.append(call, writes, identities);
    const own = new Set(entries.map(({ seq }) => seq));
    const deliveries = await this.#deliverAll(call, own, DELIVERY_BUDGET_MS);
    const failures = deliveries.flatMap(({ failure }) => (failure ? [failure] : []));
    const queued = deliveries
      .filter(({ outcomes }) => entries.some(({ seq }) => !outcomes.has(seq)))
      .map(({ engine }) => engine);
    const outcomes = entries.map(({ seq }) => {
      const known = deliveries.flatMap(({ outcomes: all }) => all.get(seq) ?? []);
      return known.includes("conflict") ? "conflict" : (known[0] ?? null);
    });
    return { outcomes, queued, failures };
  }

  /** Delivers what waits for the configured servers, without a bound but the call's own. */
  async sync(call: Call): Promise<Delivery[]> {
    return this.#deliverAll(call, new Set(), Number.POSITIVE_INFINITY);
  }

  #deliverAll(call: Call, own: ReadonlySet<number>, budgetMs: number): Promise<Delivery[]> {
    return Promise.all(this.#options.servers.map((handle) => this.#deliver(call, handle, own, budgetMs)));
  }

  async #deliver(
    call: Call,
    handle: StoreHandle,
    own: ReadonlySet<number>,
    budgetMs: number,
  ): Promise<Delivery> {
    const { journal } = this.#options;
    const { engine, identity } = handle;
    const delivery: Delivery = { engine, identity, outcomes: new Map(), rejected: 0, failure: null };
    const startedAt = performance.now();
    let after = 0;
    for (;;) {
      throwIfAborted(call);
      const batch = await journal.waiting(call, identity, after, BATCH_SIZE);
      if (batch.length === 0) return delivery;
      if (performance.now() - startedAt > budgetMs) {
        delivery.failure = {
          engine,
          code: "partial",
          message: `${engine}: older queued writes are still on their way`,
        };
        return delivery;
      }
      after = batch.at(-1)!.seq;
      const failure = await this.#deliverBatch(call, handle, batch, own, delivery);
      if (failure) {
        delivery.failure = toDegraded(engine, failure);
        return delivery;
      }
    }
  }

  /**
   * One batch in one transaction. When the store refuses it as a whole, its writes go one by one, so that one that cannot be stored does
   * not keep the others; two refusals in a row are the store's fault and end the delivery.
   */
  async #deliverBatch(
    call: Call,
    handle: StoreHandle,
    batch: readonly { seq: number; write: Write }[],
    own: ReadonlySet<number>,
    delivery: Delivery,
  ): Promise<OpsError | null> {
    const { journal } = this.#options;
    const { identity } = handle;
    const writes = batch.map(({ write }) => prepareWrite(write));
    const answer = await this.#try(call, handle, (store) => store.apply(call, writes), batch.length > 1);
    if ("value" in answer) {
      const isForeignConflict = (_: unknown, index: number) =>
        answer.value[index] === "conflict" && !own.has(batch[index]!.seq);
      const seqs = batch.map(({ seq }) => seq);
      const rejected = seqs.filter(isForeignConflict);
      await journal.delivered(
        call,
        identity,
        seqs.filter((seq, index) => !isForeignConflict(seq, index)),
      );
      if (rejected.length > 0) {
        await journal.failed(call, identity, rejected, "its id is taken by other content", true);
        delivery.rejected += rejected.length;
      }
      for (const [index, { seq }] of batch.entries()) delivery.outcomes.set(seq, answer.value[index]!);
      return null;
    }
    const refusedAsWhole = batch.length > 1 && answer.error.code === "failed";
    if (!refusedAsWhole) {
      await journal.failed(
        call,
        identity,
        batch.map(({ seq }) => seq),
        answer.error.message,
        false,
      );
      return answer.error;
    }
    let refusals = 0;
    for (const entry of batch) {
      const failure = await this.#deliverBatch(call, handle, [entry], own, delivery);
      refusals = failure ? refusals + 1 : 0;
      if (failure && failure.code !== "failed") return failure;
      if (refusals === 2) return failure;
      this.#down.delete(identity);
    }
    return null;
  }

  /** Runs `work` on a store; what it throws is returned, and breaks the circuit unless `forgiving`. */
  async #try<T>(
    call: Call,
    handle: StoreHandle,
    work: (store: MemoryStore) => Promise<T>,
    forgiving = false,
  ): Promise<{ value: T } | { error: OpsError }> {
    const known = this.#down.get(handle.identity);
    if (known) return { error: known };
    try {
      return { value: await work(await handle.open(call)) };
    } catch (thrown) {
      throwIfAborted(call);
      const error = toOpsError(thrown);
      // the journal is no server: what is wrong with it is not for a read to pass over
      if (error.engine === "sqlite" || error.code === "usage") throw error;
      call.log("DEBUG", "a store could not answer", { engine: handle.engine, code: error.code });
      if (!(forgiving && error.code === "failed")) this.#down.set(handle.identity, error);
      return { error };
    }
  }

  async #layered(call: Call, handle: StoreHandle, store: MemoryStore): Promise<MemoryStore> {
    const queued = await this.#queued(call, [handle]);
    return queued ? overlay(store, queued.store, queued.forgotten) : store;
  }

  /** What waits for any of the servers, as the only answer when none of them can be asked. */
  async #queueAlone(call: Call): Promise<MemoryStore> {
    return (await this.#queued(call, this.#options.servers))?.store ?? this.#options.scratch();
  }

  /** The writes that wait for some stores, as a store of their own; undefined when there are none. */
  async #queued(call: Call, handles: readonly StoreHandle[]): Promise<Queued | undefined> {
    const { journal, scratch } = this.#options;
    if (await journal.isEmpty()) return undefined;
    let queued: Queued | undefined;
    for (const { identity, engine } of handles) {
      let after = 0;
      let count = 0;
      for (;;) {
        const batch = await journal.waiting(call, identity, after, BATCH_SIZE);
        if (batch.length === 0) break;
        queued ??= { store: await scratch(), forgotten: new Set() };
        await queued.store.apply(
          call,
          batch.map(({ write }) => prepareWrite(write)),
        );
        for (const { write } of batch) {
          if (write.kind === "forget") queued.forgotten.add(write.recordId);
          if (write.kind === "remember") queued.forgotten.delete(write.record.id);
        }
        after = batch.at(-1)!.seq;
        count += batch.length;
        if (count < OVERLAY_LIMIT) continue;
        call.log("WARNING", `only the oldest ${count} queued writes are shown`, { engine });
        break;
      }
    }
    return queued;
  }
}

interface Queued {
  store: MemoryStore;
  /** Ids of records that a queued write forgets and none remembers again. */
  forgotten: Set<string>;
}

/** What one delivery did. */
export interface Delivery {
  engine: EngineName;
  identity: string;
  /** By journal number. */
  outcomes: Map<number, Outcome>;
  rejected: number;
  /** Why it ended before everything was delivered. */
  failure: Degraded | null;
}

function prepareWrite(write: Write): PreparedWrite {
  return write.kind === "remember" ? { ...write, prepared: prepare(write.record) } : write;
}
