/** Restores an export of a graph over Bolt: empties the database, creates what the file holds, and then its schema. */
import { createReadStream } from "node:fs";
import { differences } from "../../backup/counts.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type {
  Found,
  RestoreFile,
  RestorePart,
  RestorePlan,
  RestoreTask,
  Swapped,
} from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { parseNeo4jFile } from "./backup-parse.ts";
import { failure } from "./errors.ts";
import type { SchemaRule } from "./export-schema.ts";
import { readHead } from "./restore-lines.ts";
import { loadGraph } from "./restore-load.ts";
import { MARKER_LABEL } from "./restore-marker.ts";
import { makeSchema, refusal, rulesOf } from "./restore-schema.ts";
import { fileOf, GraphTarget, type Server } from "./restore-target.ts";
import { described, isEmpty } from "./restore-wipe.ts";

type Amounts = RestoreTask["expected"];

export abstract class BoltPart implements RestorePart {
  readonly engine = "neo4j";
  readonly name: string;
  readonly target: string;
  readonly isFirst = false;
  protected readonly task: RestoreTask;
  protected readonly file: RestoreFile;
  readonly graph: GraphTarget;
  /** What `plan` said that going back is. */
  #undo: "empty" | "safety" | undefined;
  /** What the file holds, when it was read in this process. */
  #amounts: Amounts | undefined;
  #saved: RestoreTask["saved"];

  constructor(task: RestoreTask, origin: Origin, kind: RestoreFile["kind"], isDrill = false) {
    this.task = task;
    this.name = task.name;
    this.target = origin.target.shown;
    this.file = fileOf(task, kind);
    this.graph = new GraphTarget(origin, task.id, isDrill);
    this.#saved = task.saved;
  }

  protected abstract readonly how: string;
  /** What speaks against this server. @throws OpsError */
  protected abstract check(call: Call, server: Server): Promise<string[]>;
  /** Fills the database, which is empty but for the marker. */
  protected abstract fill(call: Call, amounts: Amounts): Promise<void>;

  get isTouched(): boolean {
    return this.#saved["state"] !== undefined;
  }

  async plan(call: Call): Promise<RestorePlan> {
    const server = await this.graph.look(call);
    await this.graph.refuseMigrations(call);
    const notes = await this.check(call, server);
    const { content, marker } = server;
    if (marker)
      notes.push(`a restore (${marker.id}) did not get to its end there: what it left will be replaced`);
    notes.push("Neo4j does not keep writers out: what is written while the graph is loaded is mixed into it");
    this.#undo = undoOf(server);
    return {
      server_version: server.version,
      overwrites: described(content),
      how: this.how,
      undo: this.#undo,
      needs: { bytes: this.file.size_bytes, path: null },
      notes,
    };
  }

  async prepare(call: Call): Promise<void> {
    // what a swap did to the database stays known
    if (!this.isTouched) {
      const undo = this.#undo ?? undoOf(await this.graph.look(call));
      await this.#save(call, { undo });
    }
    await this.#compare(call);
  }

  /** As `prepare` and `swap`, in a database that holds nothing else, and without the journal. */
  async drill(call: Call): Promise<void> {
    await this.check(call, await this.graph.look(call));
    await this.#compare(call);
    await this.graph.empty(call);
    await this.fill(call, await this.#read(call));
  }

  /** Without a safety backup nothing may be there: what came meanwhile would be lost. */
  async #refuseLoss(call: Call): Promise<void> {
    if (this.isTouched || this.#saved["undo"] !== "empty") return;
    const { content } = await this.graph.look(call);
    if (isEmpty(content)) return;
    const what = `was empty, and holds ${described(content)} now: somebody writes there`;
    throw failure(
      "failed",
      this.graph.connection.place,
      what,
      "stop the writers, then begin the restore again",
    );
  }

  async #compare(call: Call): Promise<void> {
    const amounts = await this.#read(call);
    const problems = [
      ...differences(amounts.counts, this.task.expected.counts),
      ...differences(amounts.breakdown, this.task.expected.breakdown),
    ];
    if (problems.length === 0) return;
    throw new OpsError({ code: "integrity", engine: "neo4j", message: `${this.file.path}: ${problems[0]}` });
  }

  async swap(call: Call): Promise<Swapped> {
    const startedAt = performance.now();
    if (this.#saved["state"] !== "loaded") {
      await this.#refuseLoss(call);
      await this.graph.refuseMigrations(call);
      await this.#save(call, { ...this.#saved, state: "begun" });
      await this.graph.empty(call);
      await this.fill(call, await this.#read(call));
      await this.#save(call, { ...this.#saved, state: "loaded" });
    }
    await this.graph.unmark(call);
    return { how: this.how, outage_ms: Math.round(performance.now() - startedAt), notes: [] };
  }

  async verify(call: Call): Promise<Found> {
    const amounts = await this.#read(call);
    const found = await this.graph.found(call, amounts);
    found.problems.push(
      ...differences(found.counts, amounts.counts),
      ...differences(found.breakdown, amounts.breakdown),
    );
    return found;
  }

  /** Emptying it needs nothing but the server. */
  async requireWayBack(call: Call): Promise<void> {
    await this.graph.connection.serverVersion(call);
  }

  async rollback(call: Call): Promise<void> {
    const { undo } = this.#saved;
    if (!this.isTouched) return;
    if (undo !== "empty") {
      const what = "held data before the restore, which emptying it would not bring back";
      throw failure("failed", this.graph.connection.place, what, "restore the safety backup");
    }
    await this.#save(call, { undo, state: "begun" });
    await this.graph.empty(call);
    await this.graph.unmark(call);
    await this.#save(call, { undo });
  }

  async abandon(): Promise<void> {
    // nothing is made before the swap
  }

  async forget(): Promise<void> {
    // nothing is kept: going back is a safety backup, or an empty database
  }

  close(): Promise<void> {
    return this.graph.close();
  }

  async #read(call: Call): Promise<Amounts> {
    this.#amounts ??= await amountsOf(call, this.file, this.task.work);
    return this.#amounts;
  }

  async #save(call: Call, saved: RestoreTask["saved"]): Promise<void> {
    await this.task.save(call, saved);
    this.#saved = saved;
  }
}

function undoOf({ content }: Server): "empty" | "safety" {
  return isEmpty(content) ? "empty" : "safety";
}

/** Reads a file to its end. @throws OpsError `integrity` */
export async function amountsOf(call: Call, file: RestoreFile, scratch: string): Promise<Amounts> {
  const { path, kind, size_bytes, local } = file;
  const content = createReadStream(local, { highWaterMark: 1 << 20 });
  const amounts = await parseNeo4jFile(call, { path, kind, size_bytes, content, scratch });
  if (amounts.breakdown[`:${MARKER_LABEL}`] === undefined) return amounts;
  const what = "it was exported while a restore was under way, and holds a part of a graph";
  throw new OpsError({ code: "integrity", engine: "neo4j", message: `${path}: ${what}` });
}

export class NdjsonPart extends BoltPart {
  protected readonly how = "the database is emptied, and filled in batches over Bolt";
  #rules: SchemaRule[] | undefined;

  constructor(task: RestoreTask, origin: Origin, isDrill = false) {
    super(task, origin, "neo4j-ndjson", isDrill);
  }

  protected async check(call: Call, { edition, version }: Server): Promise<string[]> {
    const head = await readHead(call, this.file);
    this.#rules = rulesOf(this.file, head);
    const refused = this.#rules.flatMap((rule) => refusal(rule, edition) ?? []);
    if (refused.length > 0) {
      const what = `is Neo4j Community, and ${refused.join(", ")}, which only Enterprise has`;
      throw failure(
        "failed",
        this.graph.connection.place,
        what,
        "restore into an Enterprise server, or drop it there",
      );
    }
    const from = String(head[0]?.["server_version"] ?? this.task.serverVersion ?? "");
    if (!isNewer(from, version)) return [];
    return [`the export is of Neo4j ${from}, and the server is ${version}: it may not know a kind of index`];
  }

  protected async fill(call: Call, { counts }: Amounts): Promise<void> {
    const { graph, file, task } = this;
    const { origin, connection } = graph;
    this.#rules ??= rulesOf(file, await readHead(call, file));
    await graph.mark(call, "nodes");
    await loadGraph(call, {
      origin,
      aside: connection.aside(),
      file,
      work: task.work,
      total: (counts["nodes"] ?? 0) + (counts["relationships"] ?? 0),
      onRelationships: () => graph.mark(call, "relationships"),
    });
    await graph.mark(call, "schema");
    await makeSchema(call, connection, this.#rules, graph.patience);
    await graph.indexesReady(call);
  }
}

/** By their first two numbers. */
function isNewer(version: string, than: string): boolean {
  const numbers = (text: string) => text.split(".").map(Number);
  const [major = 0, minor = 0] = numbers(version);
  const [thanMajor = 0, thanMinor = 0] = numbers(than);
  return major > thanMajor || (major === thanMajor && minor > thanMinor);
}
