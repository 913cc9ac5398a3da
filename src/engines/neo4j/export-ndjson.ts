import type { Cursor } from "./bolt-unpack.ts";
import type { GraphFormat, Header, Passing, Totals } from "./export.ts";
import { FORMAT, VERSION, writeNode, writeRelationship } from "./export-json.ts";
import type { SchemaRule } from "./export-schema.ts";
import { JsonSink } from "./export-sink.ts";

/** The format that export-json.ts describes. */
export class NdjsonFormat implements GraphFormat {
  readonly #sink = new JsonSink();

  get hasFull(): boolean {
    return this.#sink.hasFull;
  }

  header({ database, serverVersion }: Header, schema: readonly SchemaRule[]): void {
    this.#line({ type: "header", format: FORMAT, version: VERSION, database, server_version: serverVersion });
    for (const rule of schema) this.#line(rule);
  }

  node(record: Cursor, passing: Passing): void {
    writeNode(record, this.#sink, passing);
  }

  relationship(record: Cursor, passing: Passing): void {
    writeRelationship(record, this.#sink, passing);
  }

  nodesEnd(): void {
    // a line says what it is
  }

  footer(totals: Totals): void {
    this.#line({ type: "footer", ...totals });
  }

  takeFull(): Buffer[] {
    return this.#sink.takeFull();
  }

  takeRest(): Buffer[] {
    return this.#sink.takeRest();
  }

  #line(object: object): void {
    this.#sink.raw(Buffer.from(`${JSON.stringify(object)}\n`));
  }
}
