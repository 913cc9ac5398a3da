/** Loads a graph into an empty database: nodes, then relationships, in batches of one set of labels or one type. */
import { join } from "node:path";
import type { Call } from "../../call.ts";
import type { RestoreFile } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { PackSink } from "./bolt-sink.ts";
import type { Neo4jConnection } from "./connect.ts";
import { failure, type Place } from "./errors.ts";
import { nameLiteral } from "./export-literals.ts";
import { IdMap } from "./restore-ids.ts";
import { Batch, Lane } from "./restore-lane.ts";
import { type GraphLine, readGraph } from "./restore-lines.ts";

/** Of one transaction. */
const ROWS = 5_000;
const BATCH_BYTES = 4 << 20;
/** Of all batches that are not full yet, and how many those may be. */
const WAITING_BYTES = 16 << 20;
const MAX_OPEN = 1_024;
const SINK_BYTES = 64 << 10;
/** Nodes lock nothing that others want; two relationships of one node do, so those go one batch after the other. */
const LANES = 2;
const PROGRESS_ROWS = 10_000;

/** What is loaded, and where it goes. */
export interface Load {
  origin: Origin;
  /** For questions while the connections are busy. */
  aside: Neo4jConnection;
  file: RestoreFile;
  /** A private folder. */
  work: string;
  /** Nodes and relationships together, for progress. */
  total: number;
  /** Told when the first relationship comes. */
  onRelationships(): Promise<void>;
}

/**
 * Creates what the file holds, and nothing of its schema.
 * @throws OpsError `integrity` for the file, what the server refuses, `unreachable`
 */
export async function loadGraph(call: Call, load: Load): Promise<void> {
  const loader = new Loader(call, load);
  try {
    await loader.open();
    await readGraph(call, load.file, (line) => loader.line(line));
    await loader.drain();
  } finally {
    loader.close();
  }
}

class Loader {
  readonly #call: Call;
  readonly #load: Load;
  readonly #place: Place;
  readonly #ids: IdMap;
  /** The first takes the relationships. */
  readonly #lanes: Lane[] = [];
  readonly #open = new Map<string, Batch>();
  readonly #spare: PackSink[] = [];
  #openBytes = 0;
  #sent = 0;
  #isAtRelationships = false;

  constructor(call: Call, load: Load) {
    this.#call = call;
    this.#load = load;
    this.#place = load.aside.place;
    this.#ids = new IdMap(join(load.work, "node-ids"));
  }

  async open(): Promise<void> {
    for (let i = 0; i < LANES; i++)
      this.#lanes.push(await Lane.open(this.#call, this.#load.origin, this.#load.aside));
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
    this.#ids.close();
  }

  line(line: GraphLine): Promise<void> | undefined {
    if (line.type === "node") return this.#node(line);
    if (line.type !== "relationship") return undefined;
    return this.#isAtRelationships ? this.#relationship(line) : this.#turn(line);
  }

  async drain(): Promise<void> {
    for (const [key, batch] of this.#open) await this.#send(key, batch);
    for (const lane of this.#lanes) while (lane.waiting > 0) await this.#answer(lane);
  }

  /** All nodes are there before the first relationship is made. */
  async #turn(line: GraphLine): Promise<void> {
    await this.drain();
    this.#isAtRelationships = true;
    await this.#load.onRelationships();
    await this.#relationship(line);
  }

  #node(line: GraphLine): Promise<void> | undefined {
    const batch = this.#open.get(line.group) ?? this.#begin(line.group, nodesStatement(line.group), ["rows"]);
    batch.ids.push(line.id);
    return this.#add(line, batch, 0);
  }

  #relationship(line: GraphLine): Promise<void> | undefined {
    const batch =
      this.#open.get(line.group) ??
      this.#begin(line.group, relationshipsStatement(line.group), ["rows", "starts", "ends"]);
    const before = batch.columns.get("starts")!.at + batch.columns.get("ends")!.at;
    batch.columns.get("starts")!.integer(this.#idOf(line.start));
    batch.columns.get("ends")!.integer(this.#idOf(line.end));
    const after = batch.columns.get("starts")!.at + batch.columns.get("ends")!.at;
    return this.#add(line, batch, after - before);
  }

  #idOf(id: number): number {
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    throw failure(
      "integrity",
      this.#place,
      `cannot take a relationship that ends at node ${id}: it is not in the file`,
    );
  }

  #add({ group, properties }: GraphLine, batch: Batch, more: number): Promise<void> | undefined {
    batch.columns.get("rows")!.raw(properties.bytes, 0, properties.at);
    batch.rows += 1;
    this.#openBytes += properties.at + more;
    if (batch.rows >= ROWS || batch.bytes >= BATCH_BYTES) return this.#send(group, batch);
    if (this.#openBytes >= WAITING_BYTES || this.#open.size > MAX_OPEN) return this.#sendAll();
    return undefined;
  }

  #begin(group: string, statement: string, columns: readonly string[]): Batch {
    const batch = new Batch(statement, new Map(columns.map((name) => [name, this.#sink()])));
    this.#open.set(group, batch);
    return batch;
  }

  #sink(): PackSink {
    const sink = this.#spare.pop() ?? new PackSink(SINK_BYTES);
    sink.clear();
    return sink;
  }

  async #sendAll(): Promise<void> {
    for (const [group, batch] of this.#open) await this.#send(group, batch);
  }

  async #send(group: string, batch: Batch): Promise<void> {
    this.#open.delete(group);
    this.#openBytes -= batch.bytes;
    const lane = this.#isAtRelationships ? this.#lanes[0]! : idlest(this.#lanes);
    // the next batch is packed and on its way while the server works on this one
    while (lane.waiting >= (this.#isAtRelationships ? 2 : 1)) await this.#answer(lane);
    lane.send(batch);
  }

  async #answer(lane: Lane): Promise<void> {
    const isNodes = !this.#isAtRelationships;
    let made = 0;
    const batch = await lane.answer(this.#call, (of, record) => {
      record.list();
      if (isNodes) {
        const row = record.int();
        this.#ids.set(of.ids[row]!, record.int());
        made += 1;
      } else made += record.int();
    });
    if (made !== batch.rows) {
      const what = `made ${made} of ${batch.rows} ${isNodes ? "nodes" : "relationships"}: somebody else deletes there`;
      throw failure("failed", this.#place, what, "stop the writers, then repeat the restore");
    }
    for (const sink of batch.columns.values()) if (this.#spare.length < MAX_OPEN) this.#spare.push(sink);
    const before = this.#sent;
    this.#sent += batch.rows;
    if (Math.floor(before / PROGRESS_ROWS) !== Math.floor(this.#sent / PROGRESS_ROWS)) this.#report();
  }

  #report(): void {
    const { total, origin } = this.#load;
    const label = `neo4j ${origin.target.database ?? "neo4j"}`;
    this.#call.progress({ label, done: this.#sent, total, unit: "rows" });
  }
}

function idlest(lanes: readonly Lane[]): Lane {
  return lanes.reduce((best, lane) => (lane.waiting < best.waiting ? lane : best));
}

/** @param group JSON of the labels */
function nodesStatement(group: string): string {
  const labels = (JSON.parse(Buffer.from(group, "latin1").toString("utf8")) as string[])
    .map((label) => `:${nameLiteral(label)}`)
    .join("");
  return `UNWIND range(0, $last) AS i CREATE (n${labels}) SET n = $rows[i] RETURN i, id(n)`;
}

/** @param group JSON of the type */
function relationshipsStatement(group: string): string {
  const type = nameLiteral(JSON.parse(Buffer.from(group, "latin1").toString("utf8")) as string);
  return `UNWIND range(0, $last) AS i MATCH (a) WHERE id(a) = $starts[i] MATCH (b) WHERE id(b) = $ends[i]
CREATE (a)-[r:${type}]->(b) SET r = $rows[i] RETURN count(*)`;
}
