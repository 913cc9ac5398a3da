import type Database from "better-sqlite3";
import { OpsError } from "../../errors.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { DEFAULT_AGENT_STATUS, type Outcome, type Prepared } from "../../memory/model.ts";
import type { PreparedWrite } from "../../memory/port.ts";
import { IndexEntries, LIVE, requireKnownIndex } from "./index-entries.ts";

type Remember = Extract<PreparedWrite, { kind: "remember" }>;
type AgentWrite = Extract<PreparedWrite, { kind: "agent" }>;
type Forget = Extract<PreparedWrite, { kind: "forget" }>;

interface StoredRecord {
  row_id: number;
  key: string;
  content: string;
  details: string | null;
  deleted_at: number | null;
}

/** The statements of all writes, prepared once a connection. */
function prepareStatements(database: Database.Database) {
  return {
    event: database.prepare<[string], { digest: string }>("SELECT digest FROM memori_events WHERE id = ?"),
    record: database.prepare<[string], StoredRecord>(
      "SELECT row_id, key, content, details, deleted_at FROM memori_metadata WHERE id = ?",
    ),
    insertRecord: database.prepare(
      `INSERT INTO memori_metadata (id, namespace, key, folded_key, content, details, title_length, body_length, index_version)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${INDEX_VERSION})`,
    ),
    setDeleted: database.prepare("UPDATE memori_metadata SET deleted_at = ? WHERE row_id = ?"),
    insertEvent: database.prepare("INSERT INTO memori_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    lastOrder: database.prepare<[number], { last: number }>(
      "SELECT max(recorded_at) AS last FROM memori_events WHERE record = ?",
    ),
    agent: database.prepare<[string], { updated_at: number }>(
      "SELECT updated_at FROM memori_agents WHERE name = ?",
    ),
    insertAgent: database.prepare("INSERT INTO memori_agents VALUES (?, ?, ?, ?, ?)"),
    touchAgent: database.prepare(
      `INSERT INTO memori_agents VALUES (?, ?, '${DEFAULT_AGENT_STATUS}', ?, 0)
       ON CONFLICT (name) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)`,
    ),
    updateAgent: database.prepare(
      `UPDATE memori_agents SET server = coalesce(@server, server), status = coalesce(@status, status), updated_at = @at
       WHERE name = @name AND updated_at <= @at`,
    ),
    seeAgent: database.prepare("UPDATE memori_agents SET last_seen = max(last_seen, ?) WHERE name = ?"),
  };
}

/** Writes what a record keeps of its own text, where it differs, and which version made its entry. */
export function derivedSetter(database: Database.Database): (row: number, prepared: Prepared) => void {
  const statement = database.prepare(
    `UPDATE memori_metadata
     SET folded_key = @foldedKey, title_length = @titleLength, body_length = @bodyLength, index_version = ${INDEX_VERSION}
     WHERE row_id = @row AND (folded_key, title_length, body_length, index_version)
       IS NOT (@foldedKey, @titleLength, @bodyLength, ${INDEX_VERSION})`,
  );
  return (row, { foldedKey, titleLength, bodyLength }) => {
    statement.run({ row, foldedKey, titleLength, bodyLength });
  };
}

/**
 * Applies writes inside the caller's transaction. Document frequencies, statistics and sightings of agents are summed over
 * the batch and written once, in the order of the terms.
 */
export class SqliteWriter {
  readonly #database: Database.Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #entries: IndexEntries;
  readonly #setDerived: ReturnType<typeof derivedSetter>;
  readonly #sightings = new Map<string, { server: string | null; at: number }>();

  constructor(database: Database.Database) {
    this.#database = database;
    this.#statements = prepareStatements(database);
    this.#entries = new IndexEntries(database, LIVE);
    this.#setDerived = derivedSetter(database);
  }

  /** @throws OpsError `failed`, with nothing changed, when a newer opsctl made the index */
  apply(writes: readonly PreparedWrite[]): Outcome[] {
    requireKnownIndex(this.#database);
    this.#entries.reset();
    this.#sightings.clear();
    const outcomes = writes.map((write) => {
      if (write.kind === "remember") return this.#remember(write);
      return write.kind === "agent" ? this.#agent(write) : this.#forget(write);
    });
    this.#flushSightings();
    this.#entries.flush();
    return outcomes;
  }

  #remember(write: Remember): Outcome {
    const { record, event, digest, prepared } = write;
    const known = this.#statements.event.get(event.id);
    if (known) return known.digest === digest ? "duplicate" : "conflict";
    const stored = this.#statements.record.get(record.id);
    if (stored && !sameText(stored, record)) return "conflict";
    let recordedAt = write.order;
    let row: number;
    if (stored) {
      row = stored.row_id;
      if (stored.deleted_at !== null) {
        recordedAt = Math.max(recordedAt, stored.deleted_at + 1);
        this.#statements.setDeleted.run(null, row);
        this.#setDerived(row, prepared);
        this.#entries.add(row, prepared);
      }
    } else {
      const { id, namespace, key, content, details } = record;
      row = this.#statements.insertRecord.run(
        id,
        namespace,
        key,
        prepared.foldedKey,
        content,
        details,
        prepared.titleLength,
        prepared.bodyLength,
      ).lastInsertRowid as number;
      this.#entries.add(row, prepared);
    }
    this.#statements.insertEvent.run(
      event.id,
      row,
      event.agent,
      event.server,
      event.success === null ? null : Number(event.success),
      JSON.stringify(event.tags),
      JSON.stringify(event.metadata),
      event.at,
      recordedAt,
      digest,
    );
    if (event.agent !== null) this.#see(event.agent, event.server, event.at);
    return "new";
  }

  #forget({ recordId, order }: Forget): Outcome {
    const stored = this.#statements.record.get(recordId);
    if (!stored || stored.deleted_at !== null) return "duplicate";
    const last = this.#statements.lastOrder.get(stored.row_id)?.last ?? 0;
    this.#statements.setDeleted.run(Math.max(order, last), stored.row_id);
    if (!this.#entries.remove(stored.row_id)) throw withoutEntry();
    return "new";
  }

  #agent({ name, server, status, at }: AgentWrite): Outcome {
    this.#flushSightings();
    if (!this.#statements.agent.get(name)) {
      this.#statements.insertAgent.run(name, server, status ?? DEFAULT_AGENT_STATUS, at, at);
      return "new";
    }
    if (server !== null || status !== null) this.#statements.updateAgent.run({ name, server, status, at });
    this.#statements.seeAgent.run(at, name);
    return "duplicate";
  }

  #see(name: string, server: string | null, at: number): void {
    const seen = this.#sightings.get(name);
    if (seen) seen.at = Math.max(seen.at, at);
    else this.#sightings.set(name, { server, at });
  }

  #flushSightings(): void {
    for (const [name, { server, at }] of this.#sightings) this.#statements.touchAgent.run(name, server, at);
    this.#sightings.clear();
  }
}

/** Its words cannot be taken out of the sums when nobody knows them. */
export function withoutEntry(): OpsError {
  return new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: "the record has no entry in the full-text index: nothing was changed",
    hint: "opsctl maintain sqlite --yes, which makes the index anew",
  });
}

function sameText(stored: StoredRecord, record: Remember["record"]): boolean {
  return stored.key === record.key && stored.content === record.content && stored.details === record.details;
}
