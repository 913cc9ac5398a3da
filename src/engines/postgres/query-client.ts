/** A connection for one statement of an operator: its answer is taken as text, and a read stops at its limit. */
import type { Socket } from "node:net";
import pg from "pg";
import type { Call } from "../../call.ts";
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
/** Time for the goodbye, and for a request to cancel. */
const GOODBYE_MS = 500;
const CANCEL_MS = 2_000;

/** The phase in which something failed. */
export type Reached = { phase: "connect" | "prepare" | "sent" };

/**
 * Connects, runs `before` (any number of statements) and then the statement, and ends the connection, and with it a transaction.
 * @param limitMs how long the answer may take; undefined: as long as the call lives
 * @param reached says how far it came when it throws
 * @throws the driver's errors; OpsError when the call ends: the server was told to stop then
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
    query.once("end", () => resolve({ columns: query.columns, rows: query.taken, tag: query.tag }));
    query.once("error", reject);
  });
  client.query(query);
  return ended;
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
  readonly #limit: number;
  readonly #stops: boolean;

  constructor({ text, limit, stops }: Send) {
    const config = { text, queryMode: "extended", rows: stops ? Math.min(limit + 1, MAX_ROWS) : undefined };
    super(config as pg.QueryConfig);
    this.#limit = limit;
    this.#stops = stops;
  }

  handleRowDescription({ fields }: { fields: { name: string; dataTypeID: number }[] }): void {
    this.columns = fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID }));
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    if (this.taken.length <= this.#limit) this.taken.push(fields);
  }

  handleCommandComplete({ text }: { text: string }, connection: Wire): void {
    this.tag = text;
    if (this.#stops) connection.sync();
  }

  /** The limit is reached: the portal is not asked again, and goes with its transaction. */
  handlePortalSuspended(connection: Wire): void {
    connection.sync();
  }

  handleError(error: Error, connection: Wire): void {
    if (this.#stops) connection.sync();
    this.emit("error", error);
  }

  handleReadyForQuery(): void {
    this.emit("end");
  }
}
