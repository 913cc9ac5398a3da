/** The part `dump`: neo4j-admin's own format, for which the server has to be stopped by the operator's commands, and is always started again. */
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type BackupOptions,
  type BackupPart,
  type Copied,
  fileName,
  type PartFacts,
  type PartOutput,
  type Snapshot,
} from "../../backup/port.ts";
import { type Call, createCall } from "../../call.ts";
import { toOpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { estimate } from "./backup-estimate.ts";
import { Bolt } from "./bolt.ts";
import { StoppableServer } from "./stoppable.ts";

/** Users and roles; without it a restored server knows none. */
const SYSTEM = "system";

export class DumpPart implements BackupPart {
  readonly engine = "neo4j";
  readonly name: string;
  readonly source: string;
  readonly isSlowToPrepare = true;
  readonly #origin: Origin;
  readonly #server: StoppableServer;
  /** When the stop command began, `performance.now()`; undefined: it is not stopped. */
  #stoppedAt: number | undefined;
  #downMs = 0;

  /** @throws OpsError `usage` without both commands */
  constructor(origin: Origin, commands: BackupOptions["neo4j"]) {
    const hint = "give both commands, or use --neo4j-method export, which needs neither";
    this.#server = new StoppableServer(origin, commands, "a dump", hint);
    this.#origin = origin;
    this.name = origin.target.database ?? "neo4j";
    this.source = origin.target.shown;
  }

  async open(call: Call): Promise<PartFacts> {
    const bolt = await Bolt.open(call, this.#origin);
    const known = await estimate(bolt);
    bolt.close();
    const version = await this.#server.version(call);
    return {
      server_version: version,
      tools: [{ name: "neo4j-admin", version }],
      estimate_bytes: Math.ceil(known.bytes),
      scratch_bytes: Math.ceil(known.bytes),
      notes: ["Neo4j was stopped for the dump; what it holds is counted when it is restored"],
    };
  }

  /** From here on the server is down: what the dump will show cannot change any more. */
  async prepare(call: Call): Promise<Snapshot> {
    this.#stoppedAt = performance.now();
    await this.#server.stop(call);
    return { at: Date.now(), identity: { method: "dump" } };
  }

  async copy(call: Call, out: PartOutput): Promise<Copied> {
    const folder = join(out.scratch, "neo4j");
    await mkdir(folder, { mode: 0o700 });
    const databases = [this.name, SYSTEM];
    try {
      for (const database of databases) await this.#server.dump(call, database, folder);
    } finally {
      await this.#startAgain(call);
    }
    for (const database of databases) {
      const writer = await out.file(`neo4j/${fileName(database)}.dump`, "neo4j-dump");
      for await (const chunk of createReadStream(join(folder, `${database}.dump`))) await writer.write(chunk);
      await writer.end();
    }
    return {
      consistency: "consistent",
      reason: null,
      counts: {},
      breakdown: {},
      identity: { down_ms: Math.round(this.#downMs) },
    };
  }

  async close(): Promise<void> {
    if (this.#stoppedAt === undefined) return;
    const call = createCall({ actor: "opsctl", signal: new AbortController().signal });
    await this.#startAgain(call).catch(toOpsError);
  }

  async #startAgain(call: Call): Promise<void> {
    if (this.#stoppedAt === undefined) return;
    const stoppedAt = this.#stoppedAt;
    this.#stoppedAt = undefined;
    await this.#server.start(call);
    this.#downMs = performance.now() - stoppedAt;
  }
}
