/**
 * The graph as a script for cypher-shell and an empty database. Nodes are made in batches under a label and an id of the script, behind a
 * constraint, so that relationships find their ends however alike the nodes are; both are removed at the end, and then the schema is made.
 */
import { type Cursor, Malformed, type Unpacked, unpack } from "./bolt-unpack.ts";
import { failure, type Place } from "./errors.ts";
import type { GraphFormat, Header, Passing, Totals } from "./export.ts";
import { literal, NoLiteral, nameLiteral, withoutBackslash } from "./export-literals.ts";
import type { SchemaRule } from "./export-schema.ts";
import { JsonSink } from "./export-sink.ts";

/** First line; the rest of it says where the script comes from. */
export const FIRST_LINE = "// opsctl-neo4j-cypher 1";
/** Last line; behind it the totals as JSON. */
export const LAST_LINE = "// opsctl-neo4j-cypher end ";

const LABEL = "__opsctl_import";
const ID = "__opsctl_id";
/** Of one statement. A statement is parsed as a whole, without a plan that could be used again. */
const ROWS = 200;
const BATCH_CHARS = 256 << 10;
/** Of all statements that are not full yet. */
const WAITING_CHARS = 8 << 20;

const NODES_END = `MATCH (n:${LABEL}) CALL (n) { REMOVE n:${LABEL} REMOVE n.${ID} } IN TRANSACTIONS OF 10000 ROWS;
DROP CONSTRAINT ${LABEL};
`;

/** Rows of one statement. */
interface Batch {
  rows: string[];
  chars: number;
}

export class CypherFormat implements GraphFormat {
  readonly #place: Place;
  readonly #sink = new JsonSink();
  /** By what follows the rows in their statement. */
  readonly #batches = new Map<string, Batch>();
  #waiting = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  get hasFull(): boolean {
    return this.#sink.hasFull;
  }

  header({ database, serverVersion }: Header): void {
    const from = JSON.stringify({ database, server_version: serverVersion });
    this.#line(`${FIRST_LINE} ${from.replaceAll("\\", "/")}`);
    this.#line(`CREATE CONSTRAINT ${LABEL} FOR (n:${LABEL}) REQUIRE n.${ID} IS UNIQUE;`);
  }

  node(record: Cursor, passing: Passing): void {
    record.list();
    const fields = record.structure(0x4e);
    const id = record.int();
    const group = passing.groups.ofLabels(record);
    const properties = unpack(record);
    for (let i = 3; i < fields; i++) unpack(record);
    if (group.isOwn || !passing.isNewNode(id)) return;
    group.count += 1;
    const labels = group.names.map((name) => `:${nameLiteral(name.slice(1))}`).join("");
    const row = `{i:${id},p:${this.#map(properties, `node ${id}`)}}`;
    this.#add(row, `CREATE (n:${LABEL}${labels}) SET n = row.p SET n.${ID} = row.i;`);
  }

  relationship(record: Cursor, passing: Passing): void {
    record.list();
    const fields = record.structure(0x52);
    const [id, start, end] = [record.int(), record.int(), record.int()];
    const group = passing.groups.ofType(record);
    const properties = unpack(record);
    for (let i = 5; i < fields; i++) unpack(record);
    if (!passing.isWhole(id, start, end)) return;
    group.count += 1;
    const type = nameLiteral(group.names[0]!.slice(2, -1));
    const row = `{s:${start},e:${end},p:${this.#map(properties, `relationship ${id}`)}}`;
    const ends = `MATCH (a:${LABEL} {${ID}: row.s}) MATCH (b:${LABEL} {${ID}: row.e})`;
    this.#add(row, `${ends} CREATE (a)-[r:${type}]->(b) SET r = row.p;`);
  }

  nodesEnd(): void {
    this.#flushAll();
  }

  footer(totals: Totals, schema: readonly SchemaRule[]): void {
    this.#flushAll();
    this.#sink.raw(Buffer.from(NODES_END));
    for (const { statement } of schema) this.#line(`${withoutBackslash(statement)};`);
    this.#line(`${LAST_LINE}${JSON.stringify(totals)}`);
  }

  takeFull(): Buffer[] {
    return this.#sink.takeFull();
  }

  takeRest(): Buffer[] {
    return this.#sink.takeRest();
  }

  #map(properties: Unpacked, owner: string): string {
    if (!(properties instanceof Map)) throw new Malformed("properties are no map");
    const entries = [...properties].map(
      ([name, value]) => `${nameLiteral(name)}:${this.#literal(name, value, owner)}`,
    );
    return `{${entries.join(",")}}`;
  }

  #literal(name: string, value: Unpacked, owner: string): string {
    if (name === ID) throw this.#refused(`a property ${ID}, which such a script uses itself (${owner})`);
    try {
      return literal(value);
    } catch (error) {
      if (!(error instanceof NoLiteral)) throw error;
      throw this.#refused(
        `bytes in the property ${JSON.stringify(name)} of ${owner}, and Cypher has no literal for bytes`,
      );
    }
  }

  #refused(what: string) {
    return failure(
      "failed",
      this.#place,
      `has ${what}`,
      "use --neo4j-method export, which holds every value",
    );
  }

  #add(row: string, rest: string): void {
    let batch = this.#batches.get(rest);
    if (!batch) {
      batch = { rows: [], chars: 0 };
      this.#batches.set(rest, batch);
    }
    batch.rows.push(row);
    batch.chars += row.length;
    this.#waiting += row.length;
    if (batch.rows.length >= ROWS || batch.chars >= BATCH_CHARS) this.#flush(rest, batch);
    else if (this.#waiting >= WAITING_CHARS) this.#flushAll();
  }

  #flushAll(): void {
    for (const [rest, batch] of this.#batches) this.#flush(rest, batch);
  }

  #flush(rest: string, { rows, chars }: Batch): void {
    this.#batches.delete(rest);
    this.#waiting -= chars;
    this.#line(`UNWIND [${rows.join(",\n")}] AS row\n${rest}`);
  }

  #line(text: string): void {
    this.#sink.raw(Buffer.from(`${text}\n`));
  }
}
