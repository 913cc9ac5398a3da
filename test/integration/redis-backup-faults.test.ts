import { type AddressInfo, connect, createServer } from "node:net";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCall } from "../../src/call.ts";
import { OpsError } from "../../src/errors.ts";
import { HANGS_MS, testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import {
  backUp,
  client,
  fill,
  type Hooks,
  loaded,
  type Method,
  QUICK,
  workFolder,
} from "./redis-backup-kit.ts";

const WAYS = ["psync", "scan"] as const;
const work = workFolder();
let server: OwnRedis;
let proxy: TestProxy;
let viaProxy: string;

beforeAll(async () => {
  server = await ownRedis(QUICK);
  await fill(server.url, 10_000);
  proxy = await startProxy({ target: { host: "127.0.0.1", port: server.port } });
  viaProxy = server.url.replace(`:${server.port}`, `:${proxy.port}`);
});
afterAll(async () => {
  await proxy?.close();
  await server?.stop();
  work.remove();
});

/** Whether a read is refused; a client that checks first would itself wait until the server is ready. */
async function refuses(url: string): Promise<boolean> {
  const asking = new Redis(url, { retryStrategy: () => null, enableReadyCheck: false });
  asking.on("error", () => {});
  try {
    await asking.get("key:1");
    return false;
  } catch {
    return true;
  } finally {
    asking.disconnect();
  }
}

async function failure(url: string, method: Method, hooks: Hooks = {}): Promise<OpsError> {
  try {
    await backUp(url, method, work.fresh(), hooks);
  } catch (error) {
    expect(error).toBeInstanceOf(OpsError);
    expect((error as OpsError).message).not.toContain(server.password);
    return error as OpsError;
  }
  throw new Error("it did not fail");
}

describe("while others write", () => {
  /** Counts up in one key and writes one more for each number, each after the answer to the one before. */
  function counting(url: string, name: string) {
    const writer = new Redis(url);
    let acknowledged = 0;
    let isWriting = true;
    const ended = (async () => {
      while (isWriting) {
        const next = acknowledged + 1;
        await writer.multi().set(name, next).set(`${name}:${next}`, next).exec();
        acknowledged = next;
      }
      writer.disconnect();
    })();
    return {
      acknowledged: () => acknowledged,
      end: async () => {
        isWriting = false;
        await ended;
      },
    };
  }

  test.each([
    ["psync", "yes"],
    ["psync", "no"],
  ] as const)(
    "a %s copy (diskless %s) has every write before its snapshot, and none after",
    async (method, diskless) => {
      await client(server.url, (client) => client.config("SET", "repl-diskless-sync", diskless));
      const name = `writes ${diskless}`;
      const writer = counting(server.url, name);
      let before = 0;
      let after = 0;
      try {
        await until("some writes", () => writer.acknowledged() > 100);
        const made = await backUp(server.url, method, work.fresh(), {
          beforePrepare: async () => {
            before = writer.acknowledged();
          },
          prepared: async () => {
            after = writer.acknowledged() + 1;
            await until("later writes", () => writer.acknowledged() > after + 100);
          },
        });
        expect(made.copied).toMatchObject({ consistency: "consistent", reason: null });
        await loaded(made.dir, ({ url }) =>
          client(url, async (client) => {
            const counter = Number(await client.get(name));
            expect(counter).toBeGreaterThanOrEqual(before);
            expect(counter).toBeLessThanOrEqual(after);
            const all = await client.keys(`${name}:*`);
            expect(all).toHaveLength(counter);
          }),
        );
      } finally {
        await writer.end();
      }
    },
  );

  test("a scan is fuzzy and says why; what was there all the time is in it, once", async () => {
    const writer = counting(server.url, "scanned");
    try {
      const before = await client(server.url, (client) => client.dbsize());
      const made = await backUp(server.url, "scan", work.fresh());
      expect(made.copied).toMatchObject({
        consistency: "fuzzy",
        reason: expect.stringContaining("others wrote"),
      });
      expect(made.copied.breakdown["db0"]).toBeGreaterThanOrEqual(before);
      await loaded(made.dir, ({ url }) =>
        client(url, async (client) => expect(await client.dbsize()).toBe(made.copied.breakdown["db0"])),
      );
    } finally {
      await writer.end();
    }
  });

  test("a key that SCAN names twice is in the copy once", async () => {
    const own = await ownRedis(QUICK);
    // what SCAN does while a table shrinks, always: the page "0 a b" becomes "0 a b a b"
    const doubling = createServer((down) => {
      const up = connect(own.port, "127.0.0.1");
      down.pipe(up).on("error", () => down.destroy());
      up.on("data", (chunk) => {
        const page = /^\*2\r\n\$1\r\n0\r\n\*2\r\n(.*)$/s.exec(chunk.toString("latin1"));
        down.write(page ? Buffer.from(`*2\r\n$1\r\n0\r\n*4\r\n${page[1]}${page[1]}`, "latin1") : chunk);
      });
      down.on("error", () => {}).on("close", () => up.destroy());
    });
    try {
      await client(own.url, (client) => client.mset("a", 1, "b", 2));
      await new Promise<void>((resolve) => doubling.listen(0, "127.0.0.1", resolve));
      const { port } = doubling.address() as AddressInfo;
      const made = await backUp(own.url.replace(`:${own.port}`, `:${port}`), "scan", work.fresh());
      expect(made.copied.counts["keys"]).toBe(2);
      await loaded(made.dir, ({ url }) =>
        client(url, async (client) => expect(await client.dbsize()).toBe(2)),
      );
    } finally {
      doubling.close();
      await own.stop();
    }
  });

  test("the snapshot that another replica is being given is not taken for a new one", async () => {
    const own = await ownRedis([...QUICK, "--repl-diskless-sync", "no", "--rdb-key-save-delay", "100"]);
    const other = connect(own.port, "127.0.0.1");
    try {
      await client(own.url, (client) => client.call("DEBUG", "POPULATE", 5_000));
      // another replica makes the server save; our write comes after that
      other.write(`AUTH ${own.password}\r\nREPLCONF capa eof capa psync2\r\nREPLCONF rdb-only 1\r\n`);
      let greeted = 0;
      other.on("data", (chunk) => {
        greeted += chunk.toString().split("+OK").length - 1;
      });
      await until("the other is known", () => greeted === 3);
      other.write("PSYNC ? -1\r\n");
      await client(own.url, async (client) => {
        await until("a save", async () =>
          (await client.info("persistence")).includes("rdb_bgsave_in_progress:1"),
        );
        await client.set("later", "than the other's snapshot");
      });
      const made = await backUp(own.url, "psync", work.fresh());
      await loaded(made.dir, ({ url }) =>
        client(url, async (client) => expect(await client.get("later")).toContain("than")),
      );
    } finally {
      other.destroy();
      await own.stop();
    }
  });
});

describe.each(WAYS)("%s: the way to the server", (method) => {
  test("a connection that is cut in the middle fails the part", async () => {
    proxy.limitData(200_000);
    try {
      const error = await failure(viaProxy, method);
      expect(error).toMatchObject({ code: "unreachable", engine: "redis" });
      expect(error.message).toContain(`127.0.0.1:${proxy.port}`);
    } finally {
      await proxy.down();
      await proxy.up();
    }
  });

  test("a server that is killed in the middle fails the part", async () => {
    const own = await ownRedis(QUICK);
    try {
      await fill(own.url, 10_000);
      const error = await failure(own.url, method, {
        written: async () => {
          process.kill(own.pid, "SIGKILL");
        },
      });
      expect(error).toMatchObject({ code: "unreachable", engine: "redis" });
    } finally {
      await own.stop();
    }
  });

  test("a frozen server holds nobody whose call is aborted", async () => {
    const own = await ownRedis(QUICK);
    const stop = new AbortController();
    try {
      await fill(own.url, 10_000);
      let abortedAt = 0;
      const error = await failure(own.url, method, {
        call: createCall({ actor: "test@host", signal: stop.signal }),
        prepared: async () => {
          process.kill(own.pid, "SIGSTOP");
          setTimeout(() => {
            abortedAt = performance.now();
            stop.abort(new OpsError({ code: "interrupted", message: "interrupted" }));
          }, 300);
        },
      });
      expect(error.code).toBe("interrupted");
      expect(performance.now() - abortedAt).toBeLessThan(HANGS_MS);
    } finally {
      process.kill(own.pid, "SIGCONT");
      await own.stop();
    }
  });

  test("a wrong password", async () => {
    const error = await failure(`redis://:canary-Pa55@127.0.0.1:${server.port}`, method);
    expect(error).toMatchObject({ code: "auth" });
    expect(error.message).not.toContain("canary");
  });
});

test("a scan whose replies come in pieces of 1,009 bytes", async () => {
  const own = await ownRedis(QUICK);
  const slow = await startProxy({ target: { host: "127.0.0.1", port: own.port } });
  try {
    await fill(own.url, 100);
    slow.slicer(1_009);
    const made = await backUp(own.url.replace(`:${own.port}`, `:${slow.port}`), "scan", work.fresh());
    expect(made.copied.counts["keys"]).toBe(100 + 25 + 6);
  } finally {
    await slow.close();
    await own.stop();
  }
});

/** At once: each waits most of its time, for a server of its own. */
describe.concurrent("what the server says", () => {
  test("a replica that has lost its primary gives no snapshot", async () => {
    const orphan = await ownRedis([...QUICK, "--replicaof", "127.0.0.1", "1"]);
    try {
      const error = await failure(orphan.url, "auto");
      expect(error).toMatchObject({ code: "unreachable", hint: expect.stringContaining("primary") });
      expect(error.message).toContain("has lost its primary");
    } finally {
      await orphan.stop();
    }
  });

  test.each([
    { state: "loading", says: "is loading its data", start: ["DEBUG", "RELOAD"] },
    { state: "busy", says: "is busy running a script", start: ["EVAL", "while true do end", "0"] },
  ])("a server that is $state", async ({ says, start }) => {
    const own = await ownRedis([
      ...QUICK,
      ...["--busy-reply-threshold", "1"],
      ...["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"],
    ]);
    try {
      await client(own.url, (client) => client.call("DEBUG", "POPULATE", 5_000));
      await client(own.url, async (occupied) => {
        occupied.call(start[0]!, ...start.slice(1)).catch(() => {});
        await until("it refuses others", () => refuses(own.url));
        const error = await failure(own.url, "auto");
        expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining(says) });
      });
    } finally {
      process.kill(own.pid, "SIGKILL");
      await own.stop();
    }
  });

  test("a replica is copied, and the copy says so", async () => {
    const replica = await ownRedis([
      ...QUICK,
      "--replicaof",
      "127.0.0.1",
      String(server.port),
      "--masterauth",
      server.password,
    ]);
    try {
      await until("the replica is in step", () =>
        client(replica.url, async (client) =>
          (await client.info("replication")).includes("master_link_status:up"),
        ),
      );
      const made = await backUp(replica.url, "psync", work.fresh());
      expect(made.facts.notes).toEqual([expect.stringContaining("this is a replica")]);
      expect(made.copied.counts["keys"]).toBeGreaterThan(10_000);
    } finally {
      await replica.stop();
    }
  });

  test("of a node of a cluster only its own slots are copied, and the copy says so", async () => {
    const node = await ownRedis([...QUICK, "--cluster-enabled", "yes"]);
    try {
      await client(node.url, async (client) => {
        await client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
        await until("the cluster is up", async () =>
          String(await client.call("CLUSTER", "INFO")).includes("cluster_state:ok"),
        );
        await client.set("here", "1");
      });
      for (const method of WAYS) {
        const made = await backUp(node.url, method, work.fresh());
        expect(made.facts.notes).toEqual([expect.stringContaining("only its own slots")]);
        expect(made.copied).toMatchObject({
          reason: expect.stringContaining("only its own slots"),
          counts: { keys: 1 },
        });
      }
    } finally {
      await node.stop();
    }
  });

  test("a server without PSYNC, PEXPIRETIME and functions is copied key by key, and the copy says why", async () => {
    const hidden = ["PSYNC", "PEXPIRETIME", "FUNCTION"].flatMap((name) => ["--rename-command", name, ""]);
    const managed = await ownRedis([...QUICK, ...hidden]);
    try {
      await client(managed.url, (client) => client.set("soon", "gone", "PXAT", 4_000_000_000_000));
      const made = await backUp(managed.url, "auto", work.fresh());
      expect(made.snapshot.identity).toMatchObject({ method: "scan" });
      expect(made.copied.notes).toEqual([
        expect.stringMatching(/copied key by key, because .* does not know PSYNC/),
        expect.stringContaining("no functions"),
      ]);
      await loaded(made.dir, ({ url }) =>
        client(url, async (client) => {
          expect(Math.abs((await client.pexpiretime("soon")) - 4_000_000_000_000)).toBeLessThan(1_000);
        }),
      );
      expect(await failure(managed.url, "psync")).toMatchObject({
        message: expect.stringContaining("PSYNC"),
      });
    } finally {
      await managed.stop();
    }
  });

  test("the wait for the snapshot is told", async () => {
    const own = await ownRedis(["--repl-diskless-sync-delay", "2"]);
    try {
      const made = await backUp(own.url, "psync", work.fresh());
      expect(made.copied.notes).toEqual([expect.stringContaining("repl-diskless-sync-delay")]);
    } finally {
      await own.stop();
    }
  });

  test("a deadline ends the wait for a snapshot", async () => {
    const own = await ownRedis(["--repl-diskless-sync-delay", "600"]);
    try {
      const error = await failure(own.url, "psync", { call: testCall(1_500) });
      expect(error.message).toContain("time limit");
    } finally {
      await own.stop();
    }
  });
});
