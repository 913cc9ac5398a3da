import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, type OpsError, toOpsError } from "../errors.ts";
import type { MemoryStore } from "./port.ts";

/** A store that may be down: opened on first use. */
export interface StoreHandle {
  engine: EngineName;
  /** Names the store, not the way to it (config/targets.ts). */
  identity: string;
  open(call: Call): Promise<MemoryStore>;
}

export type Answer<T> = { value: T } | { error: OpsError };

/** Circuit breaker: a store that failed is not asked again by this process. */
export class Breaker {
  readonly #down = new Map<string, OpsError>();

  /**
   * Runs `work` on a store. What it throws is the answer, and opens the circuit unless `forgiving` and the store itself answers.
   * @throws OpsError of an aborted call, of bad configuration, and of the journal: that is no server, and nothing to pass over
   */
  async try<T>(
    call: Call,
    handle: StoreHandle,
    work: (store: MemoryStore) => Promise<T>,
    forgiving = false,
  ): Promise<Answer<T>> {
    const known = this.#down.get(handle.identity);
    if (known) return { error: known };
    try {
      return { value: await work(await handle.open(call)) };
    } catch (thrown) {
      throwIfAborted(call);
      const error = toOpsError(thrown);
      if (error.engine === "sqlite" || error.code === "usage") throw error;
      call.log("DEBUG", "a store could not answer", { engine: handle.engine, code: error.code });
      if (!(forgiving && error.code === "failed")) this.open(handle.identity, error);
      return { error };
    }
  }

  open(identity: string, error: unknown): void {
    this.#down.set(identity, toOpsError(error));
  }

  /** The store may be asked again. */
  close(identity: string): void {
    this.#down.delete(identity);
  }
}
