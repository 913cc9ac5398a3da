/** Restores a dump of neo4j-admin: the server is stopped by the operator's commands, what is there is dumped, the dump is loaded. */
import { createReadStream, existsSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileName } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { OpsError, toOpsError } from "../../errors.ts";
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
import { GraphTarget } from "./restore-target.ts";
import { described } from "./restore-wipe.ts";
import { StoppableServer } from "./stoppable.ts";

const SYSTEM = "system";

/** How far it is, in the journal. `stopped`: the server may be; `kept`: what was there is dumped; `loaded`: and replaced. */
type Stage = "stopped" | "kept" | "loaded" | "returning";

export class DumpPart implements RestorePart {
  readonly engine = "neo4j";
  readonly name: string;
  readonly target: string;
  readonly isFirst = false;
  readonly #task: RestoreTask;
  readonly #server: StoppableServer;
  readonly #origin: Origin;
  readonly #database: string;
  readonly #file: RestoreFile;
  #stage: Stage | undefined;

  /** @throws OpsError `usage` without the commands to stop and to start */
  constructor(task: RestoreTask, origin: Origin) {
    this.#task = task;
    this.name = task.name;
    this.target = origin.target.shown;
    this.#database = origin.target.database ?? "neo4j";
    this.#server = new StoppableServer(
      origin,
      task.options.neo4j,
      "this archive holds a dump, which",
      "set OPSCTL_NEO4J_STOP and OPSCTL_NEO4J_START",
    );
    this.#origin = origin;
    const dumps = task.files.filter(({ kind }) => kind === "neo4j-dump");
    this.#file = dumps.find(({ path }) => !isSystem(path)) ?? dumps[0]!;
    this.#stage = task.saved["stage"] as Stage | undefined;
  }

  get isTouched(): boolean {
    return this.#stage !== undefined;
  }

  async plan(call: Call): Promise<RestorePlan> {
    const version = await this.#server.version(call);
    const { content, marker } = await this.#asked(async (graph) => {
      await graph.refuseMigrations(call);
      return graph.look(call);
    });
    const notes = [
      "what is in a dump is known when the server has started on it: only its head can be looked at",
    ];
    if (this.#task.files.some(({ path }) => isSystem(path))) {
      notes.push(
        "users and passwords stay those of the server: the dump of the system database is not loaded",
      );
    }
    if (marker)
      notes.push(`a restore (${marker.id}) did not get to its end there: what it left will be replaced`);
    return {
      server_version: version,
      overwrites: described(content),
      how: "Neo4j is stopped, what is there is dumped, and neo4j-admin loads the dump",
      undo: "kept",
      needs: { bytes: this.#file.size_bytes, path: this.#task.work },
      notes,
    };
  }

  async prepare(call: Call): Promise<void> {
    const { path, kind, size_bytes, local } = this.#file;
    const content = createReadStream(local);
    await parseNeo4jFile(call, { path, kind, size_bytes, content, scratch: this.#task.work });
  }

  async swap(call: Call): Promise<Swapped> {
    const startedAt = performance.now();
    if (this.#stage !== "loaded") await this.#stopped(call, () => this.#replace(call));
    else await this.#server.start(call);
    const notes = [
      "Neo4j was stopped meanwhile; programs that keep bookmarks from before have to connect anew",
    ];
    return { how: "by neo4j-admin", outage_ms: Math.round(performance.now() - startedAt), notes };
  }

  async verify(call: Call): Promise<Found> {
    const found = await this.#asked((graph) => graph.found(call, this.#task.expected));
    return { ...found, notes: ["a dump does not say what it holds: there is nothing to compare with"] };
  }

  /** Once it was touched the server may be stopped, or not start on what was loaded: going back stops it anyway. */
  async requireWayBack(call: Call): Promise<void> {
    if (this.#stage === undefined) await this.#asked((graph) => graph.connection.serverVersion(call));
    else if (this.#stage !== "stopped") this.#requireKept();
  }

  async rollback(call: Call): Promise<void> {
    if (this.#stage === undefined) return;
    if (this.#stage === "stopped") {
      // nothing was replaced yet
      await this.#server.start(call);
    } else {
      this.#requireKept();
      await this.#save(call, "returning");
      await this.#stopped(call, () => this.#server.load(call, this.#database, this.#kept));
    }
    await this.#save(call, undefined);
  }

  async abandon(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
  }

  async forget(): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
    await rm(this.#kept, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    // every question has a connection of its own
  }

  /**
   * Asks over a connection that knows nothing of the questions before: the numbers of transactions begin anew with what is loaded, and a driver
   * would wait for one that never comes.
   */
  async #asked<T>(question: (graph: GraphTarget) => Promise<T>): Promise<T> {
    const graph = new GraphTarget(this.#origin, this.#task.id, false);
    try {
      return await question(graph);
    } finally {
      await graph.close();
    }
  }

  get #kept(): string {
    return join(this.#task.work, "kept");
  }

  /** @throws OpsError `failed` */
  #requireKept(): void {
    const dump = join(this.#kept, `${this.#database}.dump`);
    if (existsSync(dump)) return;
    throw new OpsError({
      code: "failed",
      engine: "neo4j",
      message: `the dump of what was there before, ${dump}, is gone`,
      hint: "restore another archive: opsctl backup list",
    });
  }

  get #incoming(): string {
    return join(this.#task.work, "incoming");
  }

  /** What is there is dumped once: a second time it could be what was loaded. */
  async #replace(call: Call): Promise<void> {
    if (this.#stage === "stopped") {
      await fresh(this.#kept);
      await this.#server.dump(call, this.#database, this.#kept);
      await this.#save(call, "kept");
    }
    // neo4j-admin finds a dump by the name of the database
    await fresh(this.#incoming);
    await symlink(this.#file.local, join(this.#incoming, `${this.#database}.dump`));
    try {
      await this.#server.load(call, this.#database, this.#incoming);
    } catch (error) {
      // half a database is none that the server could start on
      await this.#putBack(call);
      throw error;
    }
    await this.#save(call, "loaded");
  }

  /** Also when the call was aborted. */
  async #putBack(call: Call): Promise<void> {
    const own = { ...call, signal: new AbortController().signal };
    try {
      await this.#server.load(own, this.#database, this.#kept);
      await this.#save(own, undefined);
    } catch (error) {
      call.log("ERROR", `what was there could not be put back: ${toOpsError(error).message}`);
    }
  }

  /** Does the work while the server is stopped, and starts it again whatever came of it. */
  async #stopped(call: Call, work: () => Promise<void>): Promise<void> {
    if (this.#stage === undefined) await this.#save(call, "stopped");
    try {
      await this.#server.stop(call);
      await work();
    } catch (error) {
      // its own failure is in the log; the first one is what happened
      await this.#server.start(call).catch(toOpsError);
      throw error;
    }
    await this.#server.start(call);
  }

  async #save(call: Call, stage: Stage | undefined): Promise<void> {
    await this.#task.save(call, stage === undefined ? {} : { stage });
    this.#stage = stage;
  }
}

async function fresh(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
}

function isSystem(path: string): boolean {
  return path.endsWith(`/${fileName(SYSTEM)}.dump`) || path === `${SYSTEM}.dump`;
}
