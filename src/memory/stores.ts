import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, toDegraded } from "../errors.ts";
import { Breaker, type StoreHandle } from "./breaker.ts";
import { type Delivery, deliver } from "./delivery.ts";
import type { Journal, NewWrite } from "./journal.ts";
import type { Outcome, Write } from "./model.ts";
import { overlay } from "./overlay.ts";
import type { MemoryStore } from "./port.ts";
import { prepareWrite } from "./prepare-write.ts";
import { type Queued, queuedWrites } from "./queued.ts";

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

/** A write whose id a store already has for other content. */
export interface Conflict {
  /** Engines that refused it. */
  refused: EngineName[];
  /** Engines that took it: there its id was free. */
  stored: EngineName[];
}

export interface Written {
  /** One for each write; null while no store has it. A conflict anywhere is a conflict. */
  outcomes: (Outcome | null)[];
  /** By index of the write. What a store has not taken yet of such a write is not sent to it any more. */
  conflicts: Map<number, Conflict>;
  /** Engines that do not have some of the writes yet. */
  queued: EngineName[];
  /** Why. */
  failures: Degraded[];
}

/** Time a write spends on an older backlog before it leaves the rest, itself included, to the next one. */
const DELIVERY_BUDGET_MS = 10_000;

/** The stores of the memory: where reads come from and how a write reaches all of them. */
export class Stores {
  readonly #options: StoresOptions;
  readonly #breaker = new Breaker();

  constructor(options: StoresOptions) {
    this.#options = options;
  }

  /** True when writes go to servers through the journal. */
  get usesServers(): boolean {
    return this.#options.servers.length > 0;
  }

  get journal(): Journal {
    return this.#options.journal;
  }

  /** Reads from the first store that answers, queued writes included; from these alone when none does. */
  async read<T>(call: Call, work: (store: MemoryStore) => Promise<T>): Promise<Read<T>> {
    const { servers, embedded } = this.#options;
    if (!this.usesServers) return { value: await work(await embedded.open(call)), degraded: [] };
    const degraded: Degraded[] = [];
    for (const handle of servers) {
      const answer = await this.#breaker.try(call, handle, async (store) =>
        work(await this.#layered(call, handle, store, degraded)),
      );
      if ("value" in answer) return { value: answer.value, degraded };
      degraded.push(toDegraded(handle.engine, answer.error));
    }
    return { value: await work(await this.#queueAlone(call, degraded)), degraded };
  }

  /** All stores that can be opened, queued writes included; never empty (the queue alone when all are down). */
  async readable(call: Call): Promise<Read<{ identity: string; store: MemoryStore }[]>> {
    const { servers, embedded } = this.#options;
    if (!this.usesServers) {
      return { value: [{ identity: embedded.identity, store: await embedded.open(call) }], degraded: [] };
    }
    const degraded: Degraded[] = [];
    const answers = await Promise.all(
      servers.map((handle) =>
        this.#breaker.try(call, handle, (store) => this.#layered(call, handle, store, degraded)),
      ),
    );
    const value: { identity: string; store: MemoryStore }[] = [];
    for (const [index, answer] of answers.entries()) {
      const { identity, engine } = servers[index]!;
      if ("value" in answer) value.push({ identity, store: answer.value });
      else degraded.push(toDegraded(engine, answer.error));
    }
    if (value.length === 0) value.push({ identity: "queue", store: await this.#queueAlone(call, degraded) });
    return { value, degraded };
  }

  /**
   * The configured stores themselves, without what waits for them: for what is done in each of them, one independent of the other. Asking a
   * store opens it.
   */
  each(): readonly StoreHandle[] {
    const { servers, embedded } = this.#options;
    return this.usesServers ? servers : [embedded];
  }

  /** A store failed under a reader: `readable` and `read` leave it out from now on. */
  markDown(identity: string, error: unknown): void {
    this.#breaker.open(identity, error);
  }

  /**
   * Stores writes: in the embedded file directly; for servers in the journal first, then in each of them that can be reached.
   * When it returns, every write is stored or queued on disk.
   */
  async write(call: Call, writes: readonly NewWrite[]): Promise<Written> {
    const { servers, embedded, journal } = this.#options;
    if (!this.usesServers) {
      const store = await embedded.open(call);
      const order = Date.now();
      const prepared = writes.map((write) => prepareWrite({ ...write, order } as Write));
      const outcomes = await store.apply(call, prepared);
      return { outcomes, conflicts: conflictsOf([{ engine: "sqlite", outcomes }]), queued: [], failures: [] };
    }
    const entries = await journal.append(
      call,
      writes,
      servers.map(({ identity }) => identity),
    );
    const own = entries.map(({ seq }) => seq);
    const deliveries = await this.#deliverAll(call, own, DELIVERY_BUDGET_MS);
    const answers = deliveries.map(({ engine, outcomes }) => ({
      engine,
      outcomes: own.map((seq) => outcomes.get(seq) ?? null),
    }));
    const conflicts = conflictsOf(answers);
    for (const index of conflicts.keys()) await journal.drop(call, own[index]!);
    const waits = (index: number) => !conflicts.has(index);
    const queued = deliveries.filter(({ outcomes }) =>
      own.some((seq, index) => !outcomes.has(seq) && waits(index)),
    );
    return {
      outcomes: own.map((_, index) => overall(answers.flatMap(({ outcomes }) => outcomes[index] ?? []))),
      conflicts,
      queued: queued.map(({ engine }) => engine),
      failures: queued.flatMap(({ failure }) => failure ?? []),
    };
  }

  /**
   * Delivers what waits for the configured servers, without a bound but the call's own. A server on this host that has come up at another
   * port or with another database name is taken for the one that was away; a server elsewhere is only ever itself.
   */
  async sync(call: Call): Promise<{ deliveries: Delivery[]; readdressed: { from: string; to: string }[] }> {
    const { servers, journal } = this.#options;
    const readdressed: { from: string; to: string }[] = [];
    const configured = new Set(servers.map(({ identity }) => identity));
    for (const { store: from, waiting } of await journal.counts(call)) {
      const to = servers.find(({ identity }) => isLocalTwin(from, identity))?.identity;
      if (waiting === 0 || to === undefined || configured.has(from)) continue;
      await journal.readdress(call, from, to);
      readdressed.push({ from, to });
    }
    return { deliveries: await this.#deliverAll(call, [], Number.POSITIVE_INFINITY), readdressed };
  }

  #deliverAll(call: Call, own: readonly number[], budgetMs: number): Promise<Delivery[]> {
    const { servers, journal } = this.#options;
    return Promise.all(
      servers.map((handle) => deliver(call, { journal, breaker: this.#breaker, handle, own, budgetMs })),
    );
  }

  async #layered(
    call: Call,
    handle: StoreHandle,
    store: MemoryStore,
    degraded: Degraded[],
  ): Promise<MemoryStore> {
    const queued = await this.#queued(call, [handle], degraded);
    return queued ? overlay(store, queued.store, queued.forgotten) : store;
  }

  /** What waits for any of the servers, as the only answer when none of them can be asked. */
  async #queueAlone(call: Call, degraded: Degraded[]): Promise<MemoryStore> {
    const { servers, scratch } = this.#options;
    return (await this.#queued(call, servers, degraded))?.store ?? scratch();
  }

  /** A journal that cannot be read is one more missing store: what the servers have is still worth reading. */
  async #queued(
    call: Call,
    handles: readonly StoreHandle[],
    degraded: Degraded[],
  ): Promise<Queued | undefined> {
    const { journal, scratch } = this.#options;
    try {
      return await queuedWrites(call, journal, scratch, handles);
    } catch (error) {
      throwIfAborted(call);
      if (degraded.every(({ engine }) => engine !== "sqlite")) degraded.push(toDegraded("sqlite", error));
      return undefined;
    }
  }
}

/** Two stores of one engine on the loopback interface, by their identities `engine:host:port/database`. */
function isLocalTwin(one: string, other: string): boolean {
  const [a, b] = [one, other].map((identity) => LOOPBACK.exec(identity)?.[1]);
  return a !== undefined && a === b;
}

const LOOPBACK = /^([a-z0-9]+):(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]):/;

function conflictsOf(
  answers: readonly { engine: EngineName; outcomes: readonly (Outcome | null)[] }[],
): Map<number, Conflict> {
  const conflicts = new Map<number, Conflict>();
  for (const { engine, outcomes } of answers) {
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome !== "conflict") continue;
      const conflict = conflicts.get(index) ?? { refused: [], stored: [] };
      conflicts.set(index, { ...conflict, refused: [...conflict.refused, engine] });
    }
  }
  for (const [index, { stored }] of conflicts) {
    for (const { engine, outcomes } of answers) {
      if (outcomes[index] === "new" || outcomes[index] === "duplicate") stored.push(engine);
    }
  }
  return conflicts;
}

/** Of what the stores said: a conflict anywhere is a conflict; else the first one's word; null when none has spoken. */
function overall(outcomes: readonly Outcome[]): Outcome | null {
  return outcomes.includes("conflict") ? "conflict" : (outcomes[0] ?? null);
}
