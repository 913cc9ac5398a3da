/** A connection on which batches of rows are created, several on their way. */
import { randomUUID } from "node:crypto";
import type { Call } from "../../call.ts";
import type { Origin } from "../engine.ts";
import { Bolt } from "./bolt.ts";
import { Packed } from "./bolt-pack.ts";
import { LIST_32, PackSink } from "./bolt-sink.ts";
import type { Cursor } from "./bolt-unpack.ts";
import type { Neo4jConnection } from "./connect.ts";
import { neo4jError } from "./errors.ts";
import { isAtWork, watched } from "./patience.ts";

/** The longest that a timer can wait: `watched` bounds the answers, by asking whether the server still works on them. */
const NO_LIMIT_MS = 0x7fffffff;
const KEY_BYTES = 24;

/** Rows that are created by one statement in one transaction. */
export class Batch {
  readonly statement: string;
  /** By the names that the statement has for them: one value a row each. */
  readonly columns: ReadonlyMap<string, PackSink>;
  /** What is to be known of a row when the answer comes: its id in the file. */
  readonly ids: number[] = [];
  rows = 0;

  constructor(statement: string, columns: ReadonlyMap<string, PackSink>) {
    this.statement = statement;
    this.columns = columns;
  }

  get bytes(): number {
    let bytes = 0;
    for (const column of this.columns.values()) bytes += column.at;
    return bytes;
  }

  /** Parameters: each column, and `last`, the number of the last row. */
  params(): Packed {
    const head = new PackSink(KEY_BYTES);
    head.byte(0xa1 + this.columns.size);
    key(head, "last");
    head.integer(this.rows - 1);
    const pieces = [head.filled];
    for (const [name, column] of this.columns) {
      const before = new PackSink(KEY_BYTES);
      key(before, name);
      before.patch(before.reserve(LIST_32), this.rows);
      pieces.push(before.filled, column.filled);
    }
    return new Packed(pieces);
  }
}

function key(sink: PackSink, name: string): void {
  const bytes = Buffer.from(name, "utf8");
  sink.text(bytes, 0, bytes.length);
}

export class Lane {
  readonly #bolt: Bolt;
  readonly #aside: Neo4jConnection;
  readonly #work = randomUUID();
  readonly #sent: Batch[] = [];

  static async open(call: Call, { target, limits }: Origin, aside: Neo4jConnection): Promise<Lane> {
    return new Lane(await Bolt.open(call, { target, limits: { ...limits, queryMs: NO_LIMIT_MS } }), aside);
  }

  private constructor(bolt: Bolt, aside: Neo4jConnection) {
    this.#bolt = bolt;
    this.#aside = aside;
  }

  /** How many batches are on their way. */
  get waiting(): number {
    return this.#sent.length;
  }

  send(batch: Batch): void {
    this.#bolt.ask(batch.statement, batch.params(), { opsctl_work: this.#work });
    this.#sent.push(batch);
  }

  /**
   * The oldest batch, which is committed now. It takes as long as it needs while the server works on it.
   * @throws OpsError `unreachable` when it does not answer any more
   */
  async answer(call: Call, take: (batch: Batch, record: Cursor) => void): Promise<Batch> {
    const batch = this.#sent.shift()!;
    try {
      const answered = this.#bolt.answer((record) => take(batch, record));
      await watched(answered, call.signal, () => isAtWork(call, this.#aside, this.#work));
      return batch;
    } catch (error) {
      this.#bolt.destroy();
      throw neo4jError(error, { place: this.#bolt.place, outcomeUnknown: false });
    }
  }

  close(): void {
    if (this.#sent.length > 0) this.#bolt.destroy();
    else this.#bolt.close();
  }
}
