import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Driver } from "neo4j-driver";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import { type Freeze, freeze } from "../../src/engines/neo4j/backup-freeze.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { neo4jServer } from "../support/servers.ts";
import { backup, LIMITS, openDriver, partOf, run, targetOf } from "./graph-kit.ts";

const server = neo4jServer();
let driver: Driver;

beforeAll(() => {
  driver = openDriver(server);
});

afterAll(async () => {
  await server.wipe();
  await driver.close();
});

beforeEach(async () => {
  await server.wipe();
  // enough that many writes happen while it is exported
  await run(driver, "UNWIND range(1, 2000) AS i CREATE (:Left {n: -i})-[:PAIR]->(:Right {n: -i})");
});

/** Writes pairs of nodes, one transaction after the other: a graph as of one instant has both of each. */
class Writer {
  acknowledged = 0;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(query = "CREATE (:Left {n: $n})-[:PAIR]->(:Right {n: $n})") {
    this.#done = this.#write(query);
  }

  async #write(query: string): Promise<void> {
    while (!this.#isOver) {
      await run(driver, query, { n: this.acknowledged + 1 });
      this.acknowledged += 1;
    }
  }

  /** Resolves when so many more writes were acknowledged. */
  async more(count: number): Promise<void> {
    const goal = this.acknowledged + count;
    await until(`${goal} writes`, () => this.acknowledged >= goal, 20);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}

let writer: Writer | undefined;
let held: Freeze | string | undefined;

afterEach(async () => {
  if (typeof held === "object") await held.release();
  held = undefined;
  await writer?.end();
  writer = undefined;
});

/** Of the pairs that the writer made: their numbers on both sides. */
function pairs(lines: readonly string[]) {
  const numbers = (label: string) =>
    lines
      .filter((line) => line.includes(`"labels":["${label}"]`))
      .map((line) => (JSON.parse(line) as { properties: { n: number } }).properties.n)
      .sort((a, b) => a - b);
  return { left: numbers("Left"), right: numbers("Right") };
}

describe("a backup beside a constant writer", () => {
  it("with freeze auto is consistent, has every write acknowledged before, and holds the writer only as long as it says", async () => {
    writer = new Writer();
    await writer.more(5);
    const before = writer.acknowledged;
    const { lines, copied } = await backup(await partOf(targetOf(server), { freeze: "auto" }));
    expect(copied).toMatchObject({
      consistency: "consistent",
      reason: null,
      identity: { frozen: true, attempts: 2 },
    });
    expect(copied.identity!["frozen_ms"]).toBeGreaterThan(0);
    expect(copied.identity!["bookmark_after"]).toBe(copied.identity!["bookmark_before"]);
    const { left, right } = pairs(lines);
    expect(left).toEqual(right);
    expect(left.at(-1)).toBeGreaterThanOrEqual(before);
    expect(copied.counts["relationships"]).toBe(left.length);
    await writer.more(5);
  });

  it("with freeze always holds the writer from the snapshot on, until it is copied", async () => {
    writer = new Writer();
    await writer.more(1);
    let atSnapshot = 0;
    const { copied, lines } = await backup(await partOf(targetOf(server), { freeze: "always" }), {
      between: async () => {
        atSnapshot = writer!.acknowledged;
      },
    });
    expect(copied).toMatchObject({ consistency: "consistent", identity: { frozen: true, attempts: 1 } });
    // one write may have been under way, committed and not told yet
    expect(pairs(lines).left.at(-1)! - atSnapshot).toBeLessThanOrEqual(1);
    await writer.more(5);
  });

  it("without a freeze is fuzzy after three tries, or as of one instant", async () => {
    writer = new Writer();
    await writer.more(1);
    const { copied, lines } = await backup(await partOf(targetOf(server)));
    const { left, right } = pairs(lines);
    if (copied.consistency === "consistent") expect(left).toEqual(right);
    else expect(copied.reason).toMatch(/something was written during each of 3 exports/);
    expect(copied.identity!["frozen_ms"]).toBeNull();
  });

  it("is fuzzy when what is written is not held by a freeze: nodes without labels", async () => {
    writer = new Writer("CREATE ()");
    await writer.more(1);
    const { copied } = await backup(await partOf(targetOf(server), { freeze: "auto" }));
    expect(copied).toMatchObject({
      consistency: "fuzzy",
      reason: expect.stringMatching(/a freeze does not hold/),
    });
  });

  it("is fuzzy when the freeze ends before the export, and the writer goes on", async () => {
    writer = new Writer();
    await writer.more(1);
    const goOn = () => writer!.more(3);
    const part = await partOf(targetOf(server), { freeze: "always", freezeTimeoutMs: 600 });
    const { copied } = await backup(part, { between: goOn });
    expect(copied).toMatchObject({
      consistency: "fuzzy",
      reason: expect.stringMatching(/the writers were held for 0\.\d s, and the export took longer/),
    });
  });

  it("leaves out relationships whose end was not there, so that every file can be loaded", async () => {
    writer = new Writer("MATCH (l:Left {n: -1}) CREATE (l)-[:PAIR]->(:Right {n: $n})");
    await writer.more(1);
    const { lines } = await backup(await partOf(targetOf(server)));
    const ids = new Set<number>();
    const ends: number[] = [];
    for (const line of lines) {
      const { type, id, start, end } = JSON.parse(line);
      if (type === "node") ids.add(id);
      if (type === "relationship") ends.push(start, end);
    }
    expect(ends.length).toBeGreaterThan(4_000 - 1);
    expect(ends.filter((id) => !ids.has(id))).toEqual([]);
  });
});

describe("a freeze", () => {
  const origin = () => ({ target: targetOf(server), limits: LIMITS });

  it("is not taken from a writer that does not end; later writers go on", async () => {
    const session = driver.session({ database: "neo4j" });
    const transaction = session.beginTransaction();
    await transaction.run("CREATE (:Left)");
    try {
      expect(await freeze(testCall(), origin(), 500)).toBe("the writers could not be held within 0.5 s");
      writer = new Writer();
      await writer.more(2);
    } finally {
      await transaction.rollback();
      await session.close();
    }
  });

  it("is let go when the call is aborted", async () => {
    const abort = new AbortController();
    const call = createCall({ actor: "tester", signal: abort.signal });
    held = await freeze(call, origin(), 30_000);
    expect(held).toMatchObject({ isHeld: true });
    abort.abort(new Error("interrupted"));
    await (held as Freeze).release();
    writer = new Writer();
    await writer.more(2);
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)("does not outlive its process: %s", async (signal) => {
    const script = join(import.meta.dirname, "graph-freezer.ts");
    // one that is stopped is ended when its time is over
    const ms = signal === "SIGKILL" ? 60_000 : 4_000;
    const child = spawn(process.execPath, [script, server.uri, server.password, String(ms)]);
    const [said] = await once(child.stdout, "data");
    expect(String(said)).toBe("held\n");
    child.kill(signal);
    writer = new Writer();
    await writer.more(2);
    child.kill("SIGKILL");
  });

  it("leaves no index behind", async () => {
    held = await freeze(testCall(), origin(), 10_000);
    await (held as Freeze).release();
    expect(await run(driver, "SHOW INDEXES YIELD name WHERE name STARTS WITH 'opsctl' RETURN name")).toEqual(
      [],
    );
  });
});
