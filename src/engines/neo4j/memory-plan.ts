import {
  DEFAULT_AGENT_STATUS,
  issueOf,
  type MemoryRecord,
  type Outcome,
  type Prepared,
} from "../../memory/model.ts";
import type { PreparedWrite } from "../../memory/port.ts";

type Remember = Extract<PreparedWrite, { kind: "remember" }>;
type AgentWrite = Extract<PreparedWrite, { kind: "agent" }>;
type Forget = Extract<PreparedWrite, { kind: "forget" }>;

/** What the store holds of the ids that a batch names, read under the lock that every writer takes. */
export interface Known {
  records: ReadonlyMap<string, KnownRecord>;
  /** By event id. */
  events: ReadonlyMap<string, { digest: string; recordId: string }>;
  agents: ReadonlyMap<string, KnownAgent>;
  /** Remember writes (by position) whose record is stored with another text. */
  mismatches: ReadonlySet<number>;
}

export interface KnownRecord {
  key: string;
  /** Tombstone; null: visible. */
  deletedAt: number | null;
  /** Greatest `order` of its events and its indexed tokens: known only of records that the batch forgets. */
  lastOrder: number;
  title: string;
  body: string;
  shape: string;
}

export interface KnownAgent {
  server: string | null;
  status: string;
  lastSeen: number;
  updatedAt: number;
}

/** A record as the batch leaves it. */
export interface PlannedRecord extends KnownRecord {
  id: string;
  /** Set when the batch makes the record. */
  created?: MemoryRecord;
  wasVisible: boolean;
  /** Set when the batch makes the record or brings it back. */
  prepared?: Prepared;
  touched: boolean;
  newEvents: Remember[];
}

/**
 * Decides in memory what a batch does, write by write, and sums up what changes in the store, so that a batch
 * costs a fixed number of queries. The rules are those of MemoryStore.apply.
 */
export class MemoryPlan {
  readonly records = new Map<string, PlannedRecord>();
  readonly agents = new Map<string, KnownAgent>();
  /** Change of each term's document frequency; zeros included. */
  readonly frequencies = new Map<string, number>();
  documents = 0;
  titleLength = 0;
  bodyLength = 0;
  readonly outcomes: Outcome[];
  readonly #known: Known;
  readonly #events = new Map<string, { digest: string; recordId: string }>();

  constructor(writes: readonly PreparedWrite[], known: Known) {
    this.#known = known;
    this.outcomes = writes.map((write, position) => {
      if (write.kind === "remember") return this.#remember(write, position);
      return write.kind === "agent" ? this.#agent(write) : this.#forget(write);
    });
  }

  #remember(write: Remember, position: number): Outcome {
    const { record, event, digest, order, prepared } = write;
    const taken = this.#events.get(event.id) ?? this.#known.events.get(event.id);
    if (taken) return taken.digest === digest && taken.recordId === record.id ? "duplicate" : "conflict";
    let planned = this.#record(record.id);
    if (planned && !this.#hasText(planned, record, position)) return "conflict";
    if (!planned) {
      planned = create(record, prepared);
      this.records.set(record.id, planned);
      this.#count(planned, 1);
    } else if (planned.deletedAt !== null && order > planned.deletedAt) {
      const { title, body, shape } = prepared;
      Object.assign(planned, { deletedAt: null, prepared, title, body, shape });
      this.#count(planned, 1);
    }
    planned.touched = true;
    planned.lastOrder = Math.max(planned.lastOrder, order);
    planned.newEvents.push(write);
    this.#events.set(event.id, { digest, recordId: record.id });
    if (event.agent !== null) this.#see(event.agent, event.server, event.at);
    return "new";
  }

  #forget({ recordId, order }: Forget): Outcome {
    const planned = this.#record(recordId);
    if (!planned) return "duplicate";
    if (planned.deletedAt !== null) {
      // the later of two tombstones counts, or an event between them could bring the record back
      planned.touched ||= order > planned.deletedAt;
      planned.deletedAt = Math.max(planned.deletedAt, order);
      return "duplicate";
    }
    if (planned.lastOrder > order) return "duplicate";
    planned.touched = true;
    planned.deletedAt = order;
    this.#count(planned, -1);
    return "new";
  }

  #agent({ name, server, status, at }: AgentWrite): Outcome {
    const agent = this.#knownAgent(name);
    if (!agent) {
      const fresh = { server, status: status ?? DEFAULT_AGENT_STATUS, lastSeen: at, updatedAt: at };
      this.agents.set(name, fresh);
      return "new";
    }
    if ((server !== null || status !== null) && at >= agent.updatedAt) {
      agent.server = server ?? agent.server;
      agent.status = status ?? agent.status;
      agent.updatedAt = at;
    }
    agent.lastSeen = Math.max(agent.lastSeen, at);
    return "duplicate";
  }

  #see(name: string, server: string | null, at: number): void {
    const agent = this.#knownAgent(name);
    if (agent) agent.lastSeen = Math.max(agent.lastSeen, at);
    else this.agents.set(name, { server, status: DEFAULT_AGENT_STATUS, lastSeen: at, updatedAt: 0 });
  }

  #record(id: string): PlannedRecord | undefined {
    const planned = this.records.get(id);
    const known = planned ? undefined : this.#known.records.get(id);
    if (!known) return planned;
    const loaded = { ...known, id, wasVisible: known.deletedAt === null, touched: false, newEvents: [] };
    this.records.set(id, loaded);
    return loaded;
  }

  #knownAgent(name: string): KnownAgent | undefined {
    const planned = this.agents.get(name);
    const known = planned ? undefined : this.#known.agents.get(name);
    if (!known) return planned;
    const loaded = { ...known };
    this.agents.set(name, loaded);
    return loaded;
  }

  #hasText({ created }: PlannedRecord, { key, content, details }: MemoryRecord, position: number): boolean {
    if (!created) return !this.#known.mismatches.has(position);
    return created.key === key && created.content === content && created.details === details;
  }

  #count(record: PlannedRecord, sign: 1 | -1): void {
    countTerms(this.frequencies, record, sign);
    this.documents += sign;
    this.titleLength += sign * tokensOf(record.title).length;
    this.bodyLength += sign * tokensOf(record.body).length;
  }
}

function create(record: MemoryRecord, prepared: Prepared): PlannedRecord {
  const { title, body, shape } = prepared;
  const { id, key } = record;
  const state = { deletedAt: null, lastOrder: 0, wasVisible: false, touched: true, newEvents: [] };
  return { ...state, id, key, title, body, shape, created: record, prepared };
}

/** Adds `sign` to the document frequency of each distinct term that is indexed for a record, shapes included. */
export function countTerms(
  frequencies: Map<string, number>,
  { title, body, shape }: Pick<Prepared, "title" | "body" | "shape">,
  sign: 1 | -1,
): void {
  for (const term of new Set([title, body, shape].flatMap(tokensOf))) {
    frequencies.set(term, (frequencies.get(term) ?? 0) + sign);
  }
}

function tokensOf(text: string): string[] {
  return text === "" ? [] : text.split(" ");
}

/** Whether the record's events are Fix nodes as the batch leaves it. */
export function isFix({ key, deletedAt }: PlannedRecord): boolean {
  return deletedAt === null && issueOf(key) !== null;
}
