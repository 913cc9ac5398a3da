import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redis } from "../../src/engines/redis/engine.ts";
import type { OpsError } from "../../src/errors.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { backUp, client, contents, fill, loaded, QUICK, workFolder } from "./redis-backup-kit.ts";

const PASSWORD = "of the backup";
const work = workFolder();
let server: OwnRedis;
/** The printed commands, as words: the one for a replica, the one for a scan. */
let lines: string[][];

beforeAll(async () => {
  server = await ownRedis(QUICK);
  await fill(server.url, 100);
  const hash = createHash("sha256").update(PASSWORD).digest("hex");
  lines = (await redis.capabilities.backupGrants!(undefined, []))
    .replaceAll("SHA256_OF_THE_PASSWORD", hash)
    .split("\n")
    .filter((line) => line.startsWith("ACL "))
    .map((line) => line.split(" "));
});
afterAll(async () => {
  await server?.stop();
  work.remove();
});

/** Makes the user with these rights. */
async function grant(words: readonly string[]): Promise<string> {
  await client(server.url, (client) => client.call(words[0]!, ...words.slice(1)));
  return `redis://opsctl_backup:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}/2`;
}

const methods = [
  { method: "psync", line: 0 },
  { method: "scan", line: 1 },
] as const;

describe.each(methods)("the user for $method", ({ method, line }) => {
  test("makes a whole backup", async () => {
    const url = await grant(lines[line]!);
    const made = await backUp(url, method, work.fresh());
    const before = await contents(server.url);
    await loaded(made.dir, async ({ url }) => expect(await contents(url)).toEqual(before));
  });

  test("needs each of its rights", async () => {
    const all = lines[line]!;
    const rights = all.filter((word) => /^[+%]/.test(word));
    expect(rights.length).toBeGreaterThan(2);
    for (const right of rights) {
      const url = await grant(all.filter((word) => word !== right));
      const error = await backUp(url, method, work.fresh()).then(
        () => undefined,
        (error: OpsError) => error,
      );
      expect(error, right).toMatchObject({ code: "auth", engine: "redis" });
      // the command that is missing is named; a right to keys is missed by whatever reads one first
      if (right.startsWith("+")) {
        expect(error!.message.toLowerCase()).toContain(right.slice(1).split("|")[0]);
      }
    }
  });

  test("can change nothing, and reads no value", async () => {
    const url = (await grant(lines[line]!)).replace(/\/2$/, "");
    await client(url, async (client) => {
      for (const command of [
        ["SET", "a", "b"],
        ["DEL", "big"],
        ["FLUSHALL"],
        ["CONFIG", "GET", "requirepass"],
        ["ACL", "LIST"],
        ["GET", "big"],
        ["REPLICAOF", "127.0.0.1", "1"],
        ["SHUTDOWN"],
        ["EVAL", "return 1", "0"],
        ["RESTORE", "a", "0", "x"],
        ["FUNCTION", "FLUSH"],
      ]) {
        await expect(client.call(command[0]!, ...command.slice(1)), command.join(" ")).rejects.toThrow(
          "NOPERM",
        );
      }
    });
  });
});

test("auto takes the way that the user has rights for, and names the lack when there is none", async () => {
  const scanned = await backUp(await grant(lines[1]!), "auto", work.fresh());
  expect(scanned.snapshot.identity).toMatchObject({ method: "scan" });
  expect(scanned.copied.notes).toEqual([
    expect.stringMatching(/key by key, because .* not permit .* REPLCONF/),
  ]);
  const none = lines[0]!.filter((word) => word !== "+psync");
  await expect(backUp(await grant(none), "auto", work.fresh())).rejects.toMatchObject({
    code: "auth",
    message: expect.stringContaining("PSYNC"),
  });
});
