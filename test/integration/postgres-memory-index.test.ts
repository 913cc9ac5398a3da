/** Indexes of other versions and schemas that are older: what is refused, and what maintenance makes anew. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import { outdatedIndex } from "../../src/engines/postgres/maintenance-memory.ts";
import { postgresMemory } from "../../src/engines/postgres/memory.ts";
import { INDEX_VERSION } from "../../src/memory/analyze.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { ROOT } from "../support/cli.ts";
import { failure, MigrationBench } from "../support/postgres-migrations.ts";
import { expectExactCorpus } from "./postgres-memory-kit.ts";

const RUNNER = join(import.meta.dirname, "postgres-renew-runner.ts");
const FILES = join(ROOT, "init", "postgres", "memory");
const [V001, V002, BACK] = ["V001-memory-up.sql", "V002-shapes-up.sql", "V002-shapes-down.sql"].map((name) =>
  readFileSync(join(FILES, name), "utf8"),
) as [string, string, string];
const TERMINATE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid()`;
const SHAPE = "__s_0123456789abcdef";
const PAGE = { limit: 10, offset: 0 };

let bench: MigrationBench;
beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterEach(() => bench.empty());
afterAll(() => bench?.stop());

const store = () => postgresMemory(bench.admin);
const version = () => bench.value("SELECT index_version FROM memori_statistics");
const outdated = () => bench.value("SELECT count(*) FROM memori_metadata WHERE index_version < 2");

const write = (n: number) =>
  remember({
    key: `issue:pod ${n % 7} crashed`,
    content: `restart node ${n}`,
    eventId: `e${n}`,
    at: 1000 + n,
  });

/** `count` records as an older program indexed them: a word that today's analyzer does not make, and no shapes. */
async function writeOlder(count: number): Promise<void> {
  const older = Array.from({ length: count }, (_, n) => {
    const { prepared, ...rest } = write(n);
    const body = `${prepared.body} stale`;
    return { ...rest, prepared: { ...prepared, body, bodyLength: prepared.bodyLength + 1, shape: "" } };
  });
  await store().apply(testCall(), older);
  await bench.sql(
    "UPDATE memori_metadata SET index_version = 1; UPDATE memori_statistics SET index_version = 1",
  );
}

describe("a schema without shapes", () => {
  it("is named with the command that brings it up to date; what needs no shapes answers", async () => {
    await bench.sql(V001);
    for (const work of [
      () => store().terms(testCall(), ["pod"]),
      () => store().candidates(testCall(), [["pod"]], {}, 10, 10),
      () => store().apply(testCall(), [write(1)]),
    ]) {
      const { code, message, hint } = await failure(work());
      expect({ code, hint }).toEqual({ code: "failed", hint: "opsctl init postgres" });
      expect(message).toContain("older schema of the memory");
    }
    expect(await store().records(testCall(), {}, PAGE)).toEqual([]);
    expect(await outdatedIndex(testCall(), bench.admin)).toEqual([]);
  });

  it("keeps its entries, marked as old, and takes the columns away again without a trace", async () => {
    await bench.sql(V001);
    const columns = `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
      WHERE table_schema = 'public' ORDER BY 1, 2`;
    const before = await bench.sql(columns);
    await bench.sql(`INSERT INTO memori_metadata VALUES ('r', 'default', 'pod', 'pod', 'x', NULL, 'pod', 'x', '''pod'':3 ''x'':1', 1, 1);
      INSERT INTO memori_terms VALUES ('pod', 1), ('x', 1); UPDATE memori_statistics SET documents = 1, title_length = 1, body_length = 1`);
    for (let n = 0; n < 2; n++) await bench.sql(V002);
    const limits =
      "SELECT relname FROM pg_class WHERE reloptions @> '{gin_pending_list_limit=64}' ORDER BY 1";
    expect(await bench.sql(limits)).toEqual([
      { relname: "memori_metadata_key_trigrams" },
      { relname: "memori_metadata_search" },
    ]);
    expect(await store().terms(testCall(), ["pod"])).toMatchObject({ documents: 1, indexVersion: 1 });
    const shaped = { ...write(1), prepared: { ...write(1).prepared, shape: SHAPE } };
    await store().apply(testCall(), [shaped]);
    const { candidates } = await store().candidates(testCall(), [["pod"]], {}, 10, 10);
    expect(candidates.map(({ id, prepared }) => [id, prepared.shape])).toEqual(
      expect.arrayContaining([
        ["r", ""],
        [shaped.record.id, SHAPE],
      ]),
    );
    await bench.sql(BACK);
    expect(await bench.sql(columns)).toEqual(before);
    expect(await bench.sql(limits)).toEqual([]);
    await bench.sql(V002);
    await expectExactCorpus(bench.admin);
    expect((await store().candidates(testCall(), [[SHAPE]], {}, 10, 10)).candidates).toEqual([]);
  });
});

describe("maintenance of the index", () => {
  it("has nothing to do without a memory, with an index of this version, and refuses a newer one", async () => {
    const planned = () => outdatedIndex(testCall(), bench.admin);
    expect(await planned()).toEqual([]);
    await bench.sql(V001);
    await bench.sql(V002);
    expect(await planned()).toEqual([]);
    await store().apply(testCall(), [write(1)]);
    expect(await planned()).toEqual([]);
    await bench.sql("UPDATE memori_statistics SET index_version = 99");
    const { code, hint, message } = await failure(planned());
    expect({ code, hint }).toEqual({ code: "failed", hint: "upgrade opsctl" });
    expect(message).toContain("version 99");
  });

  it("makes outdated entries anew, not those that are new or forgotten, and says so in the statistics", async () => {
    await bench.sql(V001);
    await bench.sql(V002);
    await writeOlder(40);
    await store().apply(testCall(), [
      remember({ key: "issue:new", content: "restart", eventId: "new", at: 2000 }),
      { kind: "forget", order: 9000, recordId: write(3).record.id },
    ]);
    expect(await store().terms(testCall(), ["stale"])).toMatchObject({ indexVersion: 1, documents: 40 });
    const [task, ...others] = await outdatedIndex(testCall(), bench.admin);
    expect(others).toEqual([]);
    expect(task).toMatchObject({ kind: "renew-index", why: expect.stringContaining("version 1") });
    expect((await task!.run(testCall())).note).toBe("39 records were indexed anew");
    const { frequencies, ...statistics } = await store().terms(testCall(), ["stale", "restart"]);
    expect(frequencies).toEqual(new Map([["restart", 40]]));
    expect(statistics).toMatchObject({ indexVersion: INDEX_VERSION, documents: 40 });
    const { candidates } = await store().candidates(testCall(), [["node"]], {}, 100, 100);
    for (const { id, prepared } of candidates) {
      const fresh = Array.from({ length: 40 }, (_, n) => write(n)).find(({ record }) => record.id === id);
      expect(prepared).toEqual(fresh!.prepared);
    }
    await expectExactCorpus(bench.admin);
    expect(await outdatedIndex(testCall(), bench.admin)).toEqual([]);
    // one that comes back is indexed by today's analyzer
    await store().apply(testCall(), [{ ...write(3), order: 9999, event: { ...write(3).event, id: "back" } }]);
    expect(await outdated()).toBe(0);
  });

  it("lets writers in between its batches", async () => {
    await bench.sql(V001);
    await bench.sql(V002);
    await writeOlder(300);
    const other = postgresMemory(await bench.open());
    const writes: Promise<unknown>[] = [];
    const call = createCall({
      actor: "tester",
      signal: new AbortController().signal,
      progress: ({ done }) => {
        const n = writes.length;
        const forgotten = write((n * 37) % 300).record.id;
        writes.push(
          other.apply(testCall(), [
            remember({ key: `issue:meanwhile ${done}`, content: "pod", eventId: `m${n}`, at: 5000 }),
            { kind: "forget", order: 9000, recordId: forgotten },
          ]),
        );
      },
    });
    const [task] = await outdatedIndex(call, bench.admin);
    await task!.run(call);
    await Promise.all(writes);
    expect(writes.length).toBeGreaterThan(3);
    await expectExactCorpus(bench.admin);
    expect(
      await bench.value(
        "SELECT count(*) FROM memori_metadata WHERE index_version < 2 AND deleted_at IS NULL",
      ),
    ).toBe(0);
    expect(await version()).toBe(INDEX_VERSION);
  });

  it("goes on where a killed program or a killed backend left it", async () => {
    await bench.sql(V001);
    await bench.sql(V002);
    await writeOlder(900);
    // the batches grow from 8 records: these are the first, the second and a later one
    for (const { after, kills } of [
      { after: 1, kills: "program" },
      { after: 9, kills: "backend" },
      { after: 100, kills: "program" },
    ]) {
      const left = Number(await outdated());
      const child = spawn(process.execPath, [RUNNER, bench.url], { stdio: ["pipe", "pipe", "ignore"] });
      const ended = once(child, "close");
      child.stdin.on("error", () => {});
      let isDone = false;
      for await (const line of createInterface({ input: child.stdout })) {
        isDone ||= line === "done";
        child.stdin.write("+");
        if (Number(line.slice("renewed ".length)) < after) continue;
        // it is at work on the next batch, and waits after that
        if (kills === "program") child.kill("SIGKILL");
        else await bench.sql(TERMINATE);
      }
      const [status] = await ended;
      expect({ status, isDone }).toEqual({ status: kills === "program" ? null : 1, isDone: false });
      await expectExactCorpus(bench.admin);
      expect(Number(await outdated())).toBeLessThan(left);
      expect(await version()).toBe(1);
      expect(await outdatedIndex(testCall(), bench.admin)).toHaveLength(1);
    }
    const [task] = await outdatedIndex(testCall(), bench.admin);
    await task!.run(testCall());
    await expectExactCorpus(bench.admin);
    expect([await outdated(), await version()]).toEqual([0, INDEX_VERSION]);
  });
});
