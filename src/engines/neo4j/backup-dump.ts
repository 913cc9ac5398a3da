/** The part `dump`: neo4j-admin's own format, for which the server has to be stopped by the operator's commands, and is always started again. */
import { createReadStream } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type BackupOptions,
  type BackupPart,
  type Copied,
  fileName,
  type PartFacts,
  type PartOutput,
  type Snapshot,
} from "../../backup/port.ts";
import { type Call, createCall, throwIfAborted } from "../../call.ts";
import { runTool } from "../../child.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { estimate } from "./backup-estimate.ts";
import { Bolt } from "./bolt.ts";
import { failure } from "./errors.ts";
import { greet } from "./greet.ts";
import { placeOf } from "./pool.ts";

/** For a stop or start command, and again for the server to be gone or there. */
const COMMAND_MS = 180_000;
const POLL_MS = 250;
const PROGRESS_MS = 1_000;
/** Users and roles; without it a restored server knows none. */
const SYSTEM = "system";

export class DumpPart implements BackupPart {
  readonly engine = "neo4j";
  readonly name: string;
  readonly source: string;
  readonly isSlowToPrepare = true;
  readonly #origin: Origin;
  readonly #admin: string;
  readonly #stop: string;
  readonly #start: string;
  /** When the stop command began, `performance.now()`; undefined: it is not stopped. */
  #stoppedAt: number | undefined;
  #downMs = 0;

  /** @throws OpsError `usage` without both commands */
  constructor(origin: Origin, { stop, start, admin }: BackupOptions["neo4j"]) {
    if (!stop || !start) {
      throw new OpsError({
        code: "usage",
        engine: "neo4j",
        message: "a dump needs Neo4j to be stopped, and opsctl was not told how it is stopped and started",
        hint: "give both commands, or use --neo4j-method export, which needs neither",
      });
    }
    this.#origin = origin;
    this.#stop = stop;
    this.#start = start;
    this.#admin = admin;
    this.name = origin.target.database ?? "neo4j";
    this.source = origin.target.shown;
  }

  async open(call: Call): Promise<PartFacts> {
    const bolt = await Bolt.open(call, this.#origin);
    const known = await estimate(bolt);
    bolt.close();
    const { stdout } = await this.#run(call, "neo4j-admin", `${this.#admin} --version`, call.signal);
    const version = stdout.trim().split(/\s+/).at(-1) ?? "";
    if (version !== bolt.serverVersion) {
      const what = `is ${bolt.serverVersion}, and ${this.#admin.split(" ")[0]} is of ${version || "no version"}`;
      throw failure("failed", bolt.place, what, "use the neo4j-admin of the server");
    }
    return {
      server_version: bolt.serverVersion,
      tools: [{ name: "neo4j-admin", version }],
      estimate_bytes: Math.ceil(known.bytes),
      scratch_bytes: Math.ceil(known.bytes),
      notes: ["Neo4j was stopped for the dump; what it holds is counted when it is restored"],
    };
  }

  /** From here on the server is down: what the dump will show cannot change any more. */
  async prepare(call: Call): Promise<Snapshot> {
    this.#stoppedAt = performance.now();
    await this.#run(call, "the stop command", this.#stop, call.signal);
    await this.#until(call, "still answers after its stop command", async () => !(await this.#answers(call)));
    return { at: Date.now(), identity: { method: "dump" } };
  }

  async copy(call: Call, out: PartOutput): Promise<Copied> {
    const folder = join(out.scratch, "neo4j");
    await mkdir(folder, { mode: 0o700 });
    const databases = [this.name, SYSTEM];
    try {
      for (const database of databases) await this.#dump(call, database, folder);
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

  async #dump(call: Call, database: string, folder: string): Promise<void> {
    const file = join(folder, `${database}.dump`);
    const report = setInterval(async () => {
      const done = (await stat(file).catch(() => undefined))?.size ?? 0;
      call.progress({ label: `neo4j ${database}`, done, unit: "bytes" });
    }, PROGRESS_MS);
    try {
      const command = `${this.#admin} database dump ${escaped(database)} --to-path=${escaped(folder)}`;
      await this.#run(call, "neo4j-admin", command, call.signal, 0);
    } finally {
      clearInterval(report);
    }
  }

  /** Also when the call was aborted: a server that was running runs again. */
  async #startAgain(call: Call): Promise<void> {
    if (this.#stoppedAt === undefined) return;
    const stoppedAt = this.#stoppedAt;
    this.#stoppedAt = undefined;
    const own = { ...call, signal: new AbortController().signal };
    try {
      // one that runs already (the stop command failed) may refuse to be started
      await this.#run(own, "the start command", this.#start).catch(async (error: OpsError) => {
        if (!(await this.#isUp(own))) throw error;
      });
      await this.#until(own, "does not answer after its start command", () => this.#isUp(own));
    } catch (error) {
      const { message } = toOpsError(error);
      call.log("ERROR", `Neo4j is stopped and could not be started again: ${message}`);
      throw error;
    }
    this.#downMs = performance.now() - stoppedAt;
  }

  async #until(call: Call, what: string, isSo: () => Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + COMMAND_MS;
    while (!(await isSo())) {
      if (performance.now() > giveUpAt) throw failure("failed", placeOf(this.#origin.target), what);
      call.progress({ label: `neo4j ${this.name}`, done: 0, unit: "bytes" });
      await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
    }
  }

  async #answers(call: Call): Promise<boolean> {
    try {
      await greet(placeOf(this.#origin.target), this.#origin.limits.connectMs, call.signal);
      return true;
    } catch {
      throwIfAborted(call);
      return false;
    }
  }

  /** Whether it not only speaks but answers queries. */
  async #isUp(call: Call): Promise<boolean> {
    try {
      const bolt = await Bolt.open(call, this.#origin);
      await bolt.begin({ mode: "r" });
      await bolt.rows("RETURN 1");
      bolt.close();
      return true;
    } catch {
      return false;
    }
  }

  async #run(call: Call, what: string, command: string, signal?: AbortSignal, limitMs = COMMAND_MS) {
    try {
      return await runTool(what, command, limitMs, signal);
    } catch (error) {
      throwIfAborted({ ...call, signal: signal ?? call.signal });
      const { message, hint } = toOpsError(error);
      throw new OpsError({
        code: "failed",
        engine: "neo4j",
        message,
        ...(hint ? { hint } : {}),
        cause: error,
      });
    }
  }
}

/** A word of a command line. */
function escaped(word: string): string {
  return word.replaceAll(" ", "\\ ");
}
