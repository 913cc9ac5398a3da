/** A connection for one statement of an operator: its answer is taken as text, and a read stops at its limit. */
import type { Socket } from "node:net";
import pg from "pg";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { parseTarget } from "./config.ts";
import type { PostgresConnection } from "./connect.ts";
import { shielded } from "./restore-session.ts";
import { untilAborted } from "./session.ts";

/** A connection, and where it leads: others are made like it. */
export interface Way {
  connection: PostgresConnection;
  origin: Origin;
}

export interface Column {
  name: string;
  /** `pg_type.oid`. */
  type: number;
}

export interface Answer {
  columns: readonly Column[];
  /** As the server writes them; at most one more than the limit. */
  rows: readonly (readonly (string | null)[])[];
  /** `INSERT 0 5`; null: the read was stopped at its limit. */
  tag: string | null;
}

export interface Send {
  text: string;
  limit: number;
  /** The server stops at the limit; else the statement runs to its end, and what is beyond the limit is dropped. */
  stops: boolean;
}

/** Largest number of rows that the protocol can ask for. */
const MAX_ROWS = 2 ** 31 - 1;
/** A larger answer is not taken into memory; it is several times as large there, and must fit into one text as JSON. */
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
/** A write is let run to its end, unless one row of it is larger: there is no text of 512 MiB. */
const MAX_ROW_BYTES = 256 * 1024 ** 2;
/** Time for the goodbye, and for a request to cancel. */
const GOODBYE_MS = 500;
const CANCEL_MS = 2_000;

/** The phase in which something failed. */
export type Reached = { phase: "connect" | "prepare" | "sent" };

/**
 * Connects, runs `before` (any number of statements) and then the statement, and ends the connection, and with it a transaction.
 * @param limitMs how long the answer may take; undefined: as long as the call lives
 * @param reached says how far it came when it throws
 * @throws the driver's errors; OpsError when the call ends: the server was told to stop then; OpsError `failed` for an answer of more than
 *   MAX_ANSWER_BYTES: a read ends there, a write has run to its end; `unknown_outcome` for a write that returns a row beyond MAX_ROW_BYTES
 */
export async function sendAlone(
  call: Call,
  { connection, origin }: Way,
  { before, send, limitMs, reached }: { before: string; send: Send; limitMs?: number; reached: Reached },
): Promise<Answer> {
  const { target, limits } = origin;
  const sockets = new Set<Socket>();
  const client = new pg.Client(parseTarget(target, limits, sockets, true).config);
  // what ends a connection is an error of the query that runs, too
  client.on("error", () => {});
  try {
    await untilAborted(client.connect(), call);
    reached.phase = "prepare";
    if (before !== "") await untilAborted(client.query(before), call, limits.queryMs);
    reached.phase = "sent";
    const query = new StatementQuery(send);
    return await withCancel(call, connection, client, untilAborted(answerOf(client, query), call, limitMs));
  } finally {
    await untilAborted(client.end(), undefined, GOODBYE_MS).catch(() => {});
    for (const socket of sockets) socket.destroy();
  }
}

function answerOf(client: pg.Client, query: StatementQuery): Promise<Answer> {
  const ended = new Promise<Answer>((resolve, reject) => {
    query.once("end", () => {
      if (query.isTooLarge) reject(tooLarge(query.tag));
      else resolve({ columns: query.columns, rows: query.taken, tag: query.tag });
    });
    query.once("error", reject);
    let bytes = 0;
    // counted as they arrive: the driver keeps a row until all of it is there
    client.connection.stream.on("data", (chunk: Buffer) => {
      query.arriving += chunk.length;
      if (query.arriving > MAX_ROW_BYTES) reject(rowTooLarge());
      if (query.isFull) return;
      bytes += chunk.length;
      if (bytes <= MAX_ANSWER_BYTES) return;
      query.isTooLarge = true;
      query.taken = [];
      if (query.stops) reject(tooLarge(null));
    });
  });
  client.query(query);
  return ended;
}

/** @param tag of a statement that ran to its end */
function tooLarge(tag: string | null): OpsError {
  const what = `the answer is larger than ${MAX_ANSWER_BYTES / 1024 ** 2} MiB`;
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message: tag === null ? what : `${tag}: the statement has taken effect, but ${what}`,
    hint:
      tag === null
        ? "ask for fewer columns, or lower --limit"
        : "do not run it again; read what it returned with a SELECT",
  });
}

function rowTooLarge(): OpsError {
  return new OpsError({
    code: "unknown_outcome",
    engine: "postgres",
    message: `one row of the answer is larger than ${MAX_ROW_BYTES / 1024 ** 2} MiB: the statement was broken off, it may or may not have taken effect`,
    hint: "look at what it would have changed before you repeat it, and return less",
  });
}

/** A server does not notice that its client has gone until it has something to send. */
async function withCancel<T>(
  call: Call,
  connection: PostgresConnection,
  client: pg.Client,
  answer: Promise<T>,
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (call.signal.aborted) {
      const { processID } = client as unknown as { processID: number };
      // best effort: a server that does not answer cannot be told
      await untilAborted(
        connection.query(shielded(call, CANCEL_MS), "SELECT pg_cancel_backend($1)", [processID]),
        undefined,
        CANCEL_MS,
      ).catch(() => {});
    }
    throw error;
  }
}

type Wire = { sync(): void };

/** Keeps rows as the server wrote them. The driver's own query would parse them, lose columns of one name, and fetch on. */
class StatementQuery extends pg.Query {
  columns: Column[] = [];
  taken: (string | null)[][] = [];
  tag: string | null = null;
  /** What has arrived is more than is kept: the rows are dropped. */
  isTooLarge = false;
  /** Bytes that have arrived since the last row. */
  arriving = 0;
  readonly stops: boolean;
  readonly #limit: number;

  constructor({ text, limit, stops }: Send) {
    const config = { text, queryMode: "extended", rows: stops ? Math.min(limit + 1, MAX_ROWS) : undefined };
    super(config as pg.QueryConfig);
    this.#limit = limit;
    this.stops = stops;
  }

  /** What arrives now is beyond the limit, and not kept. */
  get isFull(): boolean {
    return this.taken.length > this.#limit;
  }

  handleRowDescription({ fields }: { fields: { name: string; dataTypeID: number }[] }): void {
    this.columns = fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID }));
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.arriving = 0;
    if (!this.isTooLarge && !this.isFull) this.taken.push(fields);
  }

  handleCommandComplete({ text }: { text: string }, connection: Wire): void {
    this.tag = text;
    if (this.stops) connection.sync();
  }

  /** The limit is reached: the portal is not asked again, and goes with its transaction. */
  handlePortalSuspended(connection: Wire): void {
    connection.sync();
  }

  handleError(error: Error, connection: Wire): void {
    if (this.stops) connection.sync();
    this.emit("error", error);
  }

  handleReadyForQuery(): void {
    this.emit("end");
  }
}
