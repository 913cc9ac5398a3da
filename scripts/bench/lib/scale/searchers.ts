/** Searching peers, one process each, asked in turn so that whatever else the machine does meets them all. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { median, percentile } from "../processes.ts";
import type { Known } from "./markov.ts";
import type { Answer, Peer } from "./searcher.ts";

const SEARCHER = join(import.meta.dirname, "searcher.ts");
/** Queries before the measured ones: code is compiled, pages are in the cache, for all peers. */
const WARM_UPS = 20;
/** minisearch keeps about 3 GB for a million fixes. */
const MOST_HEAP_MB = 12_000;

export interface Source {
  peer: Peer;
  /** File or URL. */
  at: string;
}

/** Of one peer over all queries; times in milliseconds. */
export interface Figures {
  p50: number;
  p99: number;
  /** Queries whose fix is among the first ten. */
  found: number;
}

export class Searchers {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Starts all of them, one after another. */
  static async start(sources: readonly Source[], folder: string): Promise<Searchers> {
    const children: ChildProcess[] = [];
    const searchers = new Searchers(children);
    try {
      for (const { peer, at } of sources) {
        const child = fork(SEARCHER, [peer, at, folder], {
          execArgv: [`--max-old-space-size=${MOST_HEAP_MB}`],
        });
        children.push(child);
        await nextMessage(child);
      }
    } catch (error) {
      searchers.stop();
      throw error;
    }
    return searchers;
  }

  /** Asks every query of every peer. @returns the figures of each peer, in their order */
  async ask(queries: readonly Known[], signal: AbortSignal): Promise<Figures[]> {
    const warmUps = queries.slice(0, WARM_UPS);
    const times: number[][] = this.#children.map(() => []);
    const found = this.#children.map(() => 0);
    for (const [round, { id, query }] of [...warmUps, ...queries].entries()) {
      signal.throwIfAborted();
      for (const [index, child] of this.#children.entries()) {
        const { ms, ids } = await search(child, query);
        if (round < warmUps.length) continue;
        times[index]!.push(ms);
        if (ids.includes(id)) found[index]! += 1;
      }
    }
    return times.map((all, index) => ({
      p50: median(all),
      p99: percentile(all, 0.99),
      found: found[index]!,
    }));
  }

  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

async function search(child: ChildProcess, query: string): Promise<Answer> {
  child.send({ query });
  return (await nextMessage(child)) as Answer;
}

/** Throws when the process ends instead. */
async function nextMessage(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const [message] = await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(([code, killedBy]) => {
        throw new Error(`${child.spawnargs.slice(-3).join(" ")} ended with ${code ?? killedBy}`);
      }),
    ]);
    return message;
  } finally {
    over.abort();
  }
}
