/** A Neo4j that the operator's commands stop and start, and neo4j-admin between the two. */
import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { runTool } from "../../child.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { Bolt } from "./bolt.ts";
import { failure } from "./errors.ts";
import { greet } from "./greet.ts";
import { placeOf } from "./pool.ts";

/** For a stop or start command, and again for the server to be gone or there. */
const COMMAND_MS = 180_000;
const POLL_MS = 250;
const REPORT_MS = 1_000;

/** Commands of the operator, and how neo4j-admin is called here. */
export interface ServerCommands {
  stop?: string | undefined;
  start?: string | undefined;
  admin: string;
}

export class StoppableServer {
  readonly #origin: Origin;
  readonly #stop: string;
  readonly #start: string;
  readonly #admin: string;

  /**
   * @param what needs it to be stopped, for the message
   * @throws OpsError `usage` without both commands
   */
  constructor(origin: Origin, { stop, start, admin }: ServerCommands, what: string, hint: string) {
    if (!stop || !start) {
      throw new OpsError({
        code: "usage",
        engine: "neo4j",
        message: `${what} needs Neo4j to be stopped, and opsctl was not told how it is stopped and started`,
        hint,
      });
    }
    this.#origin = origin;
    this.#stop = stop;
    this.#start = start;
    this.#admin = admin;
  }

  /** @throws OpsError `unreachable`, `auth`; `failed` when neo4j-admin is not that of the server */
  async version(call: Call): Promise<string> {
    const bolt = await Bolt.open(call, this.#origin);
    bolt.close();
    const { stdout } = await this.#run("neo4j-admin", `${this.#admin} --version`, call.signal);
    const version = stdout.trim().split(/\s+/).at(-1) ?? "";
    if (version === bolt.serverVersion) return version;
    const what = `is ${bolt.serverVersion}, and ${this.#admin.split(" ")[0]} is of ${version || "no version"}`;
    throw failure("failed", bolt.place, what, "use the neo4j-admin of the server");
  }

  /** One that is stopped already may refuse to be stopped. */
  async stop(call: Call): Promise<void> {
    await this.#run("the stop command", this.#stop, call.signal).catch(async (error: OpsError) => {
      if (await this.#answers(call)) throw error;
    });
    await this.#until(call, "still answers after its stop command", async () => !(await this.#answers(call)));
  }

  /** Also when the call was aborted: a server that was running runs again. */
  async start(call: Call): Promise<void> {
    const own = { ...call, signal: new AbortController().signal };
    try {
      // one that runs already may refuse to be started
      await this.#run("the start command", this.#start).catch(async (error: OpsError) => {
        if (!(await this.#isUp(own))) throw error;
      });
      await this.#until(own, "does not answer after its start command", () => this.#isUp(own));
    } catch (error) {
      call.log("ERROR", `Neo4j is stopped and could not be started again: ${toOpsError(error).message}`);
      throw error;
    }
  }

  /** Writes DATABASE.dump into the folder, in place of one that is there. The server is stopped. */
  dump(call: Call, database: string, folder: string): Promise<void> {
    const where = `--to-path=${escaped(folder)} --overwrite-destination=true`;
    return this.#administer(call, `database dump ${escaped(database)} ${where}`);
  }

  /** Replaces the database by DATABASE.dump of the folder. The server is stopped. */
  load(call: Call, database: string, folder: string): Promise<void> {
    const where = `--from-path=${escaped(folder)} --overwrite-destination=true`;
    return this.#administer(call, `database load ${escaped(database)} ${where}`);
  }

  async #administer(call: Call, command: string): Promise<void> {
    const report = setInterval(
      () => call.progress({ label: "neo4j-admin", done: 0, unit: "bytes" }),
      REPORT_MS,
    );
    try {
      await this.#run("neo4j-admin", `${this.#admin} ${command}`, call.signal, 0);
    } finally {
      clearInterval(report);
    }
  }

  async #until(call: Call, what: string, isSo: () => Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + COMMAND_MS;
    while (!(await isSo())) {
      if (performance.now() > giveUpAt) throw failure("failed", placeOf(this.#origin.target), what);
      call.progress({ label: "neo4j", done: 0, unit: "bytes" });
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

  async #run(what: string, command: string, signal?: AbortSignal, limitMs = COMMAND_MS) {
    try {
      return await runTool(what, command, limitMs, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
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
