import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Driver } from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomPassword } from "../../scripts/services/server.ts";
import { run as runProgram } from "../../scripts/services/shell.ts";
import { findTools } from "../../scripts/services/tools.ts";
import { createCall } from "../../src/call.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import { backup, openDriver, partOf, run, targetOf } from "../integration/graph-kit.ts";
import { testCall } from "../support/calls.ts";
import { freePort, type TestNeo4j } from "../support/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "opsctl-dump-"));
const state = join(folder, "state.json");
let server: TestNeo4j;
let driver: Driver;
let admin: string;

const command = (action: "start" | "stop") =>
  `${process.execPath} ${join(import.meta.dirname, "graph-server.ts")} ${action} ${state}`;

beforeAll(async () => {
  const { java, neo4jLib } = await findTools();
  const dir = join(folder, "home");
  const port = await freePort();
  const password = randomPassword();
  writeFileSync(state, JSON.stringify({ dir, port, password }));
  admin = `env NEO4J_HOME=${dir} NEO4J_CONF=${join(dir, "conf")} ${java} -cp ${neo4jLib}/* org.neo4j.cli.AdminTool`;
  await operate("start");
  server = { uri: `bolt://127.0.0.1:${port}`, username: "neo4j", password, wipe: async () => {} };
  driver = openDriver(server);
  await run(driver, "UNWIND range(1, 100) AS i CREATE (:N {i: i})");
});

afterAll(async () => {
  await driver?.close();
  await operate("stop");
  rmSync(folder, { recursive: true, force: true });
});

async function operate(action: "start" | "stop"): Promise<void> {
  const [file, ...args] = command(action).split(" ");
  const { code, stderr } = await runProgram(file!, args);
  if (code !== 0) throw new Error(stderr);
}

const dumpPart = (changes: { stop?: string; start?: string; admin?: string } = {}) =>
  partOf(targetOf(server), {
    method: "dump",
    stop: command("stop"),
    start: command("start"),
    admin,
    ...changes,
  });

const count = () => run(driver, "MATCH (n:N) RETURN count(n) AS n");

describe("a dump", () => {
  it("is made while the server is stopped, which runs again afterwards", async () => {
    const { files, copied } = await backup(await dumpPart());
    expect([...files].map(([path, { kind }]) => [path, kind])).toEqual([
      ["neo4j/neo4j.dump", "neo4j-dump"],
      ["neo4j/system.dump", "neo4j-dump"],
    ]);
    expect(copied.consistency).toBe("consistent");
    expect(copied.identity!["down_ms"]).toBeGreaterThan(0);
    expect(await count()).toEqual([{ n: 100 }]);
    const parse = await engine.capabilities.parseBackup!();
    for (const [path, { kind, content }] of files) {
      const bytes = (async function* () {
        yield content;
      })();
      const file = { path, kind, size_bytes: content.length, content: bytes, scratch: folder };
      expect(await parse(testCall(), file)).toEqual({ counts: {}, breakdown: {} });
    }
  });

  it("that fails leaves a server that runs", async () => {
    const broken = join(folder, "broken-admin");
    writeFileSync(broken, 'case "$1" in --version) echo 5.26.30;; *) exit 3;; esac\n');
    const failed = backup(await dumpPart({ admin: `sh ${broken}` }));
    await expect(failed).rejects.toMatchObject({ message: "neo4j-admin: sh ended with code 3" });
    expect(await count()).toEqual([{ n: 100 }]);
  });

  it("that is interrupted when the server is stopped leaves a server that runs", async () => {
    const abort = new AbortController();
    const call = createCall({ actor: "tester", signal: abort.signal });
    const interrupt = async () => abort.abort(new Error("interrupted"));
    await expect(backup(await dumpPart(), { call, between: interrupt })).rejects.toMatchObject({
      code: "failed",
    });
    expect(await count()).toEqual([{ n: 100 }]);
  });

  it("says so when the stop command stops nothing", async () => {
    const part = await dumpPart({ stop: "false" });
    await expect(backup(part)).rejects.toMatchObject({
      message: expect.stringContaining("stop command: false ended with code 1"),
    });
    expect(await count()).toEqual([{ n: 100 }]);
  });
});
