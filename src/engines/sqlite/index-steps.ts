/** Upkeep in transactions so small that writers of other processes hardly notice. */
import { setTimeout as delay } from "node:timers/promises";
import type Database from "better-sqlite3";
import type { Call } from "../../call.ts";
import { withLock } from "./connect.ts";

/** How long a transaction should hold the write lock, ms. */
const HOLD_MS = 20;
/** Between two transactions, ms: whoever waits for the lock asks for it at least this often (SQLite's busy handler, https://sqlite.org/src/file/src/main.c). */
const GAP_MS = 26;
const MOST = 2_000;

export class SmallSteps {
  /** Rows for the next step. */
  size = 20;
  readonly #call: Call;
  readonly #database: Database.Database;
  readonly #path: string;
  #releasedAt = 0;

  constructor(call: Call, database: Database.Database, path: string) {
    this.#call = call;
    this.#database = database;
    this.#path = path;
  }

  /**
   * Runs `work` on up to `size` rows, in a transaction of its own. What can be done before, such as reading, belongs before it.
   * @throws OpsError also at the call's end: what was committed stays
   */
  async run<T>(work: () => T): Promise<T> {
    const pause = this.#releasedAt + GAP_MS - performance.now();
    if (pause > 0) await delay(pause);
    return withLock(this.#call, this.#path, () => {
      let heldAt = 0;
      const result = this.#database
        .transaction(() => {
          heldAt = performance.now();
          return work();
        })
        .immediate();
      this.#releasedAt = performance.now();
      this.#adapt(this.#releasedAt - heldAt);
      return result;
    });
  }

  /** A slow step makes the next one smaller at once, a quick one larger by and by. */
  #adapt(elapsedMs: number): void {
    const factor = Math.min(1.5, HOLD_MS / elapsedMs);
    this.size = Math.max(1, Math.min(MOST, Math.floor(this.size * factor) + (factor > 1 ? 1 : 0)));
  }
}
