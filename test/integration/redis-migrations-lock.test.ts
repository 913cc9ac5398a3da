import { type ChildProcess, spawn } from "node:child_process";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { identify } from "../../scripts/services/process.ts";
import type { Step } from "../../src/migrate/port.ts";
import { DEFAULT_LIMITS } from "../../src/migrate/runner.ts";
import { collect, until } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import {
  closeRunners,
  failureOf,
  runnerOf,
  sourceOf,
  statesOf,
  type TestRunner,
  type Texts,
} from "./redis-migrations-kit.ts";

let server: OwnRedis;
let runner: TestRunner;

beforeAll(async () => {
  server = await ownRedis();
});
beforeEach(async () => {
  runner = await runnerOf(server.url);
  await runner.send("FLUSHALL");
  await runner.send("FUNCTION", "FLUSH");
});
afterAll(async () => {
  await closeRunners();
  await server?.stop();
});

/** A runner of its own in a process of its own. */
function start(files: readonly Texts[], waitMs = 60_000): ChildProcess {
  const program = join(import.meta.dirname, "redis-migrations-runner.ts");
  return spawn(process.execPath, [program, server.url, JSON.stringify(files), String(waitMs)]);
}

/** Connections that hold or claim the lock, as `id name`. */
async function holders(): Promise<string[]> {
  const list = String(await runner.send("CLIENT", "LIST"));
  return [...list.matchAll(/^id=(\d+) .* name=(opsctl-hold-\S*)/gm)].map(([, id, name]) => `${id} ${name}`);
}

/** Waits until a process works, and returns its connection's id. */
async function holderOf(child: ChildProcess): Promise<string> {
  let id: string | undefined;
  await until("the process holds the lock", async () => {
    const found = (await holders()).find((holder) => holder.includes(`:work:${child.pid}@`));
    id = found?.split(" ")[0];
    return id !== undefined;
  });
  return id!;
}

/** A command that takes a while; the server answers nobody meanwhile. */
const busy = (ms: number) =>
  `EVAL "local t = redis.call('TIME'); local e = t[1] * 1000 + t[2] / 1000 + ${ms}; ` +
  `repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > e" 0`;

/** Files that take some seconds together, in small steps. */
const LONG: Texts[] = Array.from({ length: 100 }, (_, index) => [
  `INCR n\nINCR n${index}\n${busy(20)}\nINCR n`,
]);

describe("one runner at a time", () => {
  test("six at once: one works, five wait and find everything done", async () => {
    const files: Texts[] = Array.from({ length: 10 }, (_, index) => [`INCR n\nINCR n${index}\nINCR n`]);
    const all = await Promise.all(Array.from({ length: 6 }, () => collect(start(files))));
    expect(all.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(6).fill({ code: 0, stderr: "" }));
    expect(all.map(({ stdout }) => stdout.split("\n").length - 1).sort()).toEqual([0, 0, 0, 0, 0, 10]);
    expect(await runner.send("GET", "n")).toBe("20");
    expect(await holders()).toEqual([]);
  });

  test("who waits is told who works; when the wait is over, the hint ends the one who works", async () => {
    const child = start(LONG);
    const ended = collect(child);
    const id = await holderOf(child);
    const error = await failureOf(runner.target.exclusively(runner.call, 300, async () => {}));
    expect(error.code).toBe("locked");
    expect(error.message).toMatch(
      new RegExp(`connection ${id} \\(127\\.0\\.0\\.1:\\d+, process ${child.pid} on \\S+, for \\d+ s\\)`),
    );
    expect(error.hint).toContain(`CLIENT KILL ID ${id}`);
    expect(runner.logged).toEqual([
      {
        level: "WARNING",
        message: expect.stringMatching(new RegExp(`connection ${id} .* holds the lock; waiting$`)),
      },
    ]);
    await runner.send("CLIENT", "KILL", "ID", id);
    const { code, stderr } = await ended;
    // it was between two commands, or waited for an answer
    expect([22, 24]).toContain(code);
    expect(stderr).toMatch(/ended the connection that held the lock|lost the connection/);
    expect(await runner.target.exclusively(runner.call, 5_000, async () => holders())).toHaveLength(1);
  });

  test("nothing more of a runner reaches the server once its lock is gone", async () => {
    const other = await runnerOf(server.url);
    const [first, second] = sourceOf([["SET a 1"], ["SET b 2"]]).migrations.map((migration): Step => {
      const { set: set_name, version, seq, description, up: script } = migration;
      const { file, checksum } = script;
      const row = {
        set_name,
        version,
        seq,
        file,
        description,
        checksum,
        applied_by: "",
        applied_at: 0,
        tool_version: "",
      };
      return { migration, direction: "up", script, row, from: 0, limits: DEFAULT_LIMITS };
    });
    const work = runner.target.exclusively(runner.call, 1_000, async () => {
      await runner.target.run(runner.call, first!);
      await runner.send("CLIENT", "KILL", "ID", (await holders())[0]!.split(" ")[0]!);
      await other.run(sourceOf([["SET c 3"]], "other"));
      await runner.target.run(runner.call, second!);
    });
    expect(await failureOf(work)).toMatchObject({
      code: "locked",
      message: expect.stringContaining("another runner"),
    });
    expect(await runner.send("MGET", "a", "b", "c")).toEqual(["1", null, "3"]);
    expect((await runner.history()).map(({ set_name, version }) => [set_name, version])).toEqual([
      ["other", "V001"],
      ["user", "V001"],
    ]);
  });

  test("a runner that is stopped keeps the lock, and one that is killed leaves it at once", async () => {
    const child = start(LONG);
    const ended = collect(child);
    const id = await holderOf(child);
    child.kill("SIGSTOP");
    try {
      const error = await failureOf(runner.target.exclusively(runner.call, 300, async () => {}));
      expect(error).toMatchObject({ code: "locked", hint: expect.stringContaining(id) });
    } finally {
      child.kill("SIGKILL");
    }
    await ended;
    expect(identify(child.pid!)).toBeUndefined();
    await runner.target.exclusively(runner.call, 10_000, async () => {});
    // every command ran once: what was in doubt is the one that history names
    const counted = Number(await runner.send("GET", "n"));
    const rows = await runner.history();
    const done = rows.filter(({ state }) => state === "applied").length;
    const last = rows.find(({ state }) => state === "running")?.statement_index ?? 0;
    const sure = done * 2 + (last >= 1 ? 1 : 0);
    expect([sure, sure + 1]).toContain(counted);
  });

  test("of eight at once never two are inside, whoever comes first", async () => {
    const runners = await Promise.all(Array.from({ length: 8 }, () => runnerOf(server.url)));
    let inside = 0;
    let most = 0;
    let sections = 0;
    await Promise.all(
      runners.map(async ({ target, call, send }) => {
        for (let turn = 0; turn < 6; turn += 1) {
          await target.exclusively(call, 60_000, async () => {
            inside += 1;
            most = Math.max(most, inside);
            await send("INCR", "sections");
            inside -= 1;
            sections += 1;
          });
        }
      }),
    );
    expect({ most, sections }).toEqual({ most: 1, sections: 48 });
    expect(await holders()).toEqual([]);
  });

  test("databases of one server share it: settings belong to the server", async () => {
    const third = await runnerOf(server.url, { database: "3" });
    await runner.target.exclusively(runner.call, 0, async () => {
      const error = await failureOf(third.target.exclusively(third.call, 0, async () => {}));
      expect(error.code).toBe("locked");
    });
    await third.target.exclusively(third.call, 0, async () => {});
  });
});

describe("the connection that holds it", () => {
  test("outlives the server's timeout for idle clients", async () => {
    await runner.send("CONFIG", "SET", "timeout", "1");
    try {
      await runner.target.exclusively(runner.call, 0, async () => {
        const [holder] = await holders();
        const idle = await runnerOf(server.url);
        await idle.send("CLIENT", "SETNAME", "idle");
        const named = async () => String(await runner.send("CLIENT", "LIST")).includes("name=idle");
        await expect.poll(named, { timeout: 20_000, interval: 100 }).toBe(false);
        expect(await holders()).toEqual([holder]);
        await runner.target.record(runner.call, []);
      });
    } finally {
      await runner.send("CONFIG", "SET", "timeout", "0");
    }
  });

  test("is not evicted, nor is the history, when the server is filled past its limit during the run", async () => {
    const small = await ownRedis(["--maxmemory", "6mb", "--maxmemory-policy", "allkeys-lru"]);
    try {
      const filler = await runnerOf(small.url);
      const stats = async () => String(await filler.send("INFO", "stats"));
      const evicted = async () => Number(/evicted_keys:(\d+)/.exec(await stats())![1]);
      const fill = "for i=1,1000 do redis.call('SET','fill:'..ARGV[1]..':'..i,string.rep('x',1000)) end";
      const files: Texts[] = Array.from({ length: 40 }, (_, index) => [
        `PUBLISH c ${index}\nSET key:${index} 1\nPUBLISH c b`,
      ]);
      const [first, second] = [await runnerOf(small.url), await runnerOf(small.url)];
      let isOver = false;
      const work = Promise.all([first.run(sourceOf(files)), second.run(sourceOf(files))]).finally(() => {
        isOver = true;
      });
      for (let round = 0; !isOver || round < 20; round += 1)
        await filler.send("EVAL", fill, "0", String(round));
      expect((await work).map(({ length }) => length).sort()).toEqual([0, 40]);
      expect(await evicted()).toBeGreaterThan(5_000);
      expect(await statesOf(first)).toEqual(
        files.map((_, index) => `V${String(index + 1).padStart(3, "0")} applied`),
      );
      const published = /cmdstat_publish:calls=(\d+)/.exec(
        String(await filler.send("INFO", "commandstats")),
      )![1];
      expect(Number(published)).toBe(80);
    } finally {
      await small.stop();
    }
  });

  test("is refused behind a proxy that hands commands to connections of its own", async () => {
    // the connections behind it log in by themselves
    await runner.send("ACL", "SETUSER", "default", "nopass");
    const proxy = createServer((client) => {
      const pool = [1, 2, 3].map(() => connect(server.port, "127.0.0.1"));
      let turn = 0;
      client.on("data", (chunk) => pool[turn++ % pool.length]!.write(chunk));
      for (const upstream of pool)
        upstream.on("data", (chunk) => client.write(chunk)).on("error", () => client.destroy());
      client
        .on("close", () => pool.map((upstream) => upstream.destroy()))
        .on("error", () => client.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = proxy.address() as AddressInfo;
      const behind = await runnerOf(`redis://127.0.0.1:${port}`);
      const error = await failureOf(behind.target.exclusively(behind.call, 1_000, async () => {}));
      expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("behind a proxy") });
      await behind.connection.close();
    } finally {
      proxy.close();
      await runner.send("ACL", "SETUSER", "default", "resetpass", `>${server.password}`);
    }
  });
});
