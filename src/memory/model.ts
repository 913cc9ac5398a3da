/** The only namespace until an issue asks for more. */
export const NAMESPACE = "default";

/** What happened once: somebody saw the record's issue and applied its fix. Times are epoch milliseconds. */
export interface MemoryEvent {
  /** The client's, else UUIDv7 (on import: from the line's hash). Printable ASCII, at most 128 characters. */
  id: string;
  recordId: string;
  agent: string | null;
  server: string | null;
  success: boolean | null;
  tags: string[];
  metadata: Record<string, unknown>;
  at: number;
}

/** What is remembered: one text for one key. */
export interface MemoryRecord {
  /** The client's, else UUIDv8 from SHA-256(namespace, key, content, details). */
  id: string;
  namespace: string;
  key: string;
  content: string;
  details: string | null;
}

/** A record with what its events say. `success` and `agent`, `server`, `tags`, `metadata` are those of the latest event. */
export interface RecordView extends MemoryRecord {
  occurrences: number;
  successes: number;
  failures: number;
  /** Time of the latest event, ms. The latest event is the greatest (at, id), ids compared byte by byte. */
  lastSeen: number;
  /** Id of that event. */
  lastEvent: string;
  firstSeen: number;
  success: boolean | null;
  agent: string | null;
  server: string | null;
  tags: string[];
  metadata: Record<string, unknown>;
}

/** One event with the text of its record. */
export interface EventView extends MemoryEvent {
  record: MemoryRecord;
}

export interface Agent {
  name: string;
  server: string | null;
  status: string;
  lastSeen: number;
}

/**
 * What the full-text index of every store holds for a record: the analyzer's tokens, separated by spaces, verbatim.
 * `title` are the tokens of the issue (the key), `body` those of content and details, `shape` one for each line that holds values which
 * change from one occurrence to the next (`shapesOf` in noise.ts). Shapes are no words: they count in no length.
 */
export interface Prepared {
  title: string;
  body: string;
  shape: string;
  titleLength: number;
  bodyLength: number;
  /** The whole key in lower case (Unicode), for prefix and substring matches that are the same in every store. */
  foldedKey: string;
}

/**
 * One write. It is replayed until every store has it, so applying it twice, or late, changes nothing more:
 * `order` is the time of the write (ms, monotonic on one host), and of a tombstone and a newer event the later one wins.
 */
export type Write =
  | {
      kind: "remember";
      order: number;
      record: MemoryRecord;
      event: Omit<MemoryEvent, "recordId">;
      /** 128 bits of SHA-256 (32 hex digits) of what the client gave for the event: the same event id with another digest is a conflict. */
      digest: string;
    }
  | {
      kind: "agent";
      order: number;
      name: string;
      /** null: leave as it is (a heartbeat). */
      server: string | null;
      status: string | null;
      at: number;
    }
  | { kind: "forget"; order: number; recordId: string };

/**
 * What a store did with one write. `new`: changed something; `duplicate`: it was there already; `conflict`: the event id or
 * the record id is taken by other content, nothing was changed. For an agent, `new` means that the name was unknown.
 */
export type Outcome = "new" | "duplicate" | "conflict";

/** Status that an agent gets when nobody names one. */
export const DEFAULT_AGENT_STATUS = "active";

/** The key's prefix that makes a record an issue: only these become `Fix` and `Issue` nodes in Neo4j. */
export const ISSUE_PREFIX = "issue:";

/** The issue of a key: what stands after `issue:`, or null when the key is no issue. */
export function issueOf(key: string): string | null {
  return key.startsWith(ISSUE_PREFIX) ? key.slice(ISSUE_PREFIX.length) : null;
}
