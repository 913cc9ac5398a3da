/** Restores a script of export-cypher.ts: cypher-shell runs it in the database, which was emptied before. */
import { parseCommandString } from "execa";
import type { Call } from "../../call.ts";
import { readTool, startTool, type ToolOptions } from "../../child.ts";
import { OpsError } from "../../errors.ts";
import type { RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { failure } from "./errors.ts";
import { BoltPart } from "./restore-graph.ts";

const REPORT_MS = 1_000;
const HINT = "install cypher-shell, or say how it is called";

export class ScriptPart extends BoltPart {
  protected readonly how = "the database is emptied, and cypher-shell runs the script";

  constructor(task: RestoreTask, origin: Origin, isDrill = false) {
    super(task, origin, "neo4j-cypher", isDrill);
  }

  /** Before anything is emptied: whether there is a cypher-shell. */
  protected async check(call: Call): Promise<string[]> {
    const [file, args] = this.#command();
    const version = await readTool(call, file, [...args, "--version"], this.#options());
    call.log("DEBUG", "cypher-shell", { version: version.trim() });
    return [];
  }

  protected async fill(call: Call, { counts }: RestoreTask["expected"]): Promise<void> {
    await this.graph.mark(call, "nodes");
    const [file, args] = this.#command();
    const tool = startTool(
      call,
      file,
      [
        ...args,
        "-a",
        this.#address(),
        "--non-interactive",
        "--format",
        "plain",
        "--fail-fast",
        "-f",
        this.file.local,
      ],
      this.#options(),
    );
    const total = (counts["nodes"] ?? 0) + (counts["relationships"] ?? 0);
    // it does not tell how far it is
    const alive = { label: `neo4j ${this.name}`, done: 0, total, unit: "rows" } as const;
    const report = setInterval(() => call.progress(alive), REPORT_MS);
    try {
      tool.stdout.resume();
      await tool.done;
    } catch (error) {
      if (call.signal.aborted) throw error;
      // what it prints may quote values of the script
      const what = "did not take the script: cypher-shell ended with an error";
      const hint = "run it by hand to see why: cypher-shell -f FILE, into an empty database";
      throw failure("failed", this.graph.connection.place, what, hint, error);
    } finally {
      clearInterval(report);
    }
    await this.graph.mark(call, "schema");
    await this.graph.indexesReady(call);
  }

  #command(): [string, string[]] {
    const [file, ...args] = parseCommandString(this.task.options.neo4j.cypherShell);
    if (file !== undefined) return [file, args];
    throw new OpsError({
      code: "usage",
      engine: "neo4j",
      message: "the command for cypher-shell is empty",
      hint: HINT,
    });
  }

  /** Without what may be secret in a URL. */
  #address(): string {
    const { protocol, host } = new URL(this.graph.origin.target.url);
    return `${protocol}//${host}`;
  }

  /** As whom it connects is in its environment: `ps` shows arguments to everybody. */
  #options(): ToolOptions {
    const { username = "neo4j", password, database } = this.graph.origin.target;
    return {
      engine: "neo4j",
      hint: HINT,
      env: {
        // another address than that of its argument
        NEO4J_URI: undefined,
        NEO4J_ADDRESS: undefined,
        NEO4J_USERNAME: username,
        NEO4J_PASSWORD: password ?? "",
        NEO4J_DATABASE: database,
        // it reads files in the encoding of the locale
        JAVA_TOOL_OPTIONS: "-Dfile.encoding=UTF-8",
      },
    };
  }
}
