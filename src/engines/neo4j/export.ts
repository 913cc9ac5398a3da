/** One pass over the graph: schema, nodes, relationships, in whatever format. */
import type { Bolt } from "./bolt.ts";
import type { Cursor } from "./bolt-unpack.ts";
import { failure, type Place } from "./errors.ts";
import { Groups } from "./export-groups.ts";
import { IdSet } from "./export-ids.ts";
import { readSchema, type SchemaRule } from "./export-schema.ts";

/** What a file begins with. */
export interface Header {
  database: string;
  serverVersion: string;
}

export interface Totals {
  nodes: number;
  relationships: number;
  constraints: number;
  indexes: number;
}

/** What is known while records come. */
export interface Passing {
  groups: Groups;
  /** False: this node came before. */
  isNewNode(id: number): boolean;
  /** False: this relationship came before, or one of its ends did not come at all. */
  isWhole(id: number, start: number, end: number): boolean;
}

/** Writes one kind of file. Pieces that are full are taken from it while records come. */
export interface GraphFormat {
  header(header: Header, schema: readonly SchemaRule[]): void;
  node(record: Cursor, passing: Passing): void;
  relationship(record: Cursor, passing: Passing): void;
  /** Between nodes and relationships. */
  nodesEnd(): void;
  footer(totals: Totals, schema: readonly SchemaRule[]): void;
  readonly hasFull: boolean;
  takeFull(): Buffer[];
  takeRest(): Buffer[];
}

/** What came of a pass. */
export interface Passed {
  totals: Totals;
  breakdown: Record<string, number>;
  /** Relationships that were left out, because an end of theirs did not come. */
  dangling: number;
  /** The newest transaction at the end; null: unknown. */
  bookmark: string | null;
  /** False: it was given up in the middle, as `isStillTrue` said. */
  isComplete: boolean;
}

export interface Pass {
  header: Header;
  format: GraphFormat;
  /** Everything up to it can be seen. */
  bookmark: string | null;
  write(piece: Buffer): Promise<void>;
  /** Told from time to time how many records came. */
  progress(records: number): void;
  /** Asked when the nodes are through, with the bookmark at that point: whether the rest is worth it. */
  isStillTrue(bookmark: string | null): boolean;
}

const NODES = "MATCH (n) RETURN n";
const RELATIONSHIPS = "MATCH ()-[r]->() RETURN r";

/** The newest transaction that is committed: what a read transaction's commit is answered with. */
export async function newestBookmark(bolt: Bolt): Promise<string | null> {
  await bolt.begin({ mode: "r" });
  await bolt.rows("RETURN 1");
  return bolt.commit();
}

/**
 * Exports once. The transactions begin with the bookmark: what was committed before is applied then and not just on its way into the store.
 * Ids take one bit each in memory, those of nodes and of relationships.
 */
export async function exportGraph(bolt: Bolt, pass: Pass): Promise<Passed> {
  const { format, bookmark } = pass;
  const begin = () => bolt.begin({ mode: "r", bookmarks: bookmark === null ? [] : [bookmark] });
  const tally = new Tally(bolt.place);
  await begin();
  const schema = await readSchema(bolt);
  format.header(pass.header, schema);
  await through(bolt, pass, NODES, tally, (record) => format.node(record, tally));
  format.nodesEnd();
  const between = await bolt.commit();
  if (!pass.isStillTrue(between)) return tally.passed(schema, between, false);
  await begin();
  await through(bolt, pass, RELATIONSHIPS, tally, (record) => format.relationship(record, tally));
  const after = await bolt.commit();
  const passed = tally.passed(schema, after, true);
  format.footer(passed.totals, schema);
  for (const piece of format.takeRest()) await pass.write(piece);
  return passed;
}

async function through(
  bolt: Bolt,
  { format, write, progress }: Pass,
  query: string,
  tally: Tally,
  take: (record: Cursor) => void,
): Promise<void> {
  const flush = async () => {
    progress(tally.records);
    for (const piece of format.takeFull()) await write(piece);
  };
  await bolt.records(query, {}, (record) => {
    take(record);
    return format.hasFull ? flush() : undefined;
  });
}

/** Counts what comes, and remembers which ids did. */
class Tally implements Passing {
  readonly groups = new Groups();
  readonly #place: Place;
  readonly #nodes = new IdSet();
  readonly #relationships = new IdSet();
  #nodeCount = 0;
  #relationshipCount = 0;
  #dangling = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  get records(): number {
    return this.#nodeCount + this.#relationshipCount;
  }

  isNewNode(id: number): boolean {
    const isNew = this.#add(this.#nodes, id);
    if (isNew) this.#nodeCount += 1;
    return isNew;
  }

  isWhole(id: number, start: number, end: number): boolean {
    if (!this.#nodes.has(start) || !this.#nodes.has(end)) {
      this.#dangling += 1;
      return false;
    }
    const isNew = this.#add(this.#relationships, id);
    if (isNew) this.#relationshipCount += 1;
    return isNew;
  }

  passed(schema: readonly SchemaRule[], bookmark: string | null, isComplete: boolean): Passed {
    const constraints = schema.filter(({ type }) => type === "constraint").length;
    return {
      totals: {
        nodes: this.#nodeCount,
        relationships: this.#relationshipCount,
        constraints,
        indexes: schema.length - constraints,
      },
      breakdown: this.groups.breakdown(),
      dangling: this.#dangling,
      bookmark,
      isComplete,
    };
  }

  #add(ids: IdSet, id: number): boolean {
    try {
      return ids.add(id);
    } catch (error) {
      throw failure(
        "failed",
        this.#place,
        "has ids that lie too far apart to be remembered",
        undefined,
        error,
      );
    }
  }
}
