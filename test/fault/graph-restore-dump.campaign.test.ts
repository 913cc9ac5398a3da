/** Dumps into a Neo4j of its own, which is stopped for it and runs afterwards whatever happened. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { randomPassword } from "../../scripts/services/server.ts";
import { run as runProgram } from "../../scripts/services/shell.ts";
import { findTools } from "../../scripts/services/tools.ts";
import { backup, openDriver, partOf, run, targetOf } from "../integration/graph-kit.ts";
import { type Neo4jOptions, type Scene, sceneOf } from "../integration/graph-restore-kit.ts";
import { testCall } from "../support/calls.ts";
import { freePort, type TestNeo4j } from "../support/servers.ts";

/** A server and its administrator start several times, a Java each. */
const MANY_STARTS_MS = 600_000;
const folder = mkdtempSync(join(tmpdir(), "opsctl-dump-"));
const state = join(folder, "state.json");
let server: TestNeo4j;
let dump: Buffer;
let commands: { stop: string; start: string; admin: string };
let scene: Scene;

const command = (action: "start" | "stop") =>
  `${process.execPath} ${join(import.meta.dirname, "graph-server.ts")} ${action} ${state}`;

async function operate(action: "start" | "stop"): Promise<void> {
  const [file, ...args] = command(action).split(" ");
  const { code, stderr } = await runProgram(file!, args);
  if (code !== 0) throw new Error(stderr);
}

beforeAll(async () => {
  const { java, neo4jLib } = await findTools();
  const dir = join(folder, "home");
  const port = await freePort();
  const password = randomPassword();
  writeFileSync(state, JSON.stringify({ dir, port, password }));
  const admin = `env NEO4J_HOME=${dir} NEO4J_CONF=${join(dir, "conf")} ${java} -cp ${neo4jLib}/* org.neo4j.cli.AdminTool`;
  commands = { stop: command("stop"), start: command("start"), admin };
  await operate("start");
  server = { uri: `bolt://127.0.0.1:${port}`, username: "neo4j", password, wipe: async () => {} };
  await ask("UNWIND range(1, 100) AS i CREATE (:Dumped {i: i})");
  const { files } = await backup(await partOf(targetOf(server), { method: "dump", ...commands }));
  dump = files.get("neo4j/neo4j.dump")!.content;
}, MANY_STARTS_MS);

afterAll(async () => {
  await operate("stop");
  rmSync(folder, { recursive: true, force: true });
}, MANY_STARTS_MS);

beforeEach(async () => {
  await ask("MATCH (n) DETACH DELETE n");
  await ask("UNWIND range(1, 7) AS i CREATE (:Live {i: i})");
});
afterEach(() => scene?.remove());

/** With a driver of its own: one that knows transactions from before a load would wait for them. */
async function ask(query: string) {
  const driver = openDriver(server);
  try {
    return await run(driver, query);
  } finally {
    await driver.close();
  }
}

const labels = () => ask("MATCH (n) RETURN labels(n)[0] AS label, count(*) AS n");
const partWith = (changes: Partial<Neo4jOptions> = {}) => {
  scene = sceneOf([{ kind: "neo4j-dump", content: dump }], { ...commands, ...changes });
  return scene.part(targetOf(server));
};

describe("a dump", { timeout: MANY_STARTS_MS }, () => {
  it("is loaded, what was there is kept, comes back, and is forgotten", async () => {
    const part = await partWith();
    expect(await part.plan(testCall(120_000))).toMatchObject({
      undo: "kept",
      overwrites: "7 nodes, 0 relationships",
    });
    await part.prepare(testCall());
    await part.requireWayBack(testCall());
    expect(part.isTouched).toBe(false);
    await part.swap(testCall(300_000));
    expect(await labels()).toEqual([{ label: "Dumped", n: 100 }]);
    expect(await part.verify(testCall())).toMatchObject({ counts: { nodes: 100 }, problems: [] });
    await part.close();
    const another = await scene.part(targetOf(server));
    expect(another.isTouched).toBe(true);
    await another.requireWayBack(testCall());
    const journal = scene.saved();
    await another.rollback(testCall(300_000));
    expect(another.isTouched).toBe(false);
    expect(await labels()).toEqual([{ label: "Live", n: 7 }]);
    await another.forget(testCall());
    expect(readdirSync(scene.task.work)).toEqual([]);
    await scene.task.save(testCall(), journal);
    const late = await scene.part(targetOf(server));
    await expect(late.requireWayBack(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(join(scene.task.work, "kept")),
    });
    await late.close();
    await another.close();
  });

  it("that neo4j-admin does not take leaves what was there, and a server that runs", async () => {
    scene = sceneOf([{ kind: "neo4j-dump", content: dump.subarray(0, dump.length >> 1) }], commands);
    const part = await scene.part(targetOf(server));
    await part.prepare(testCall());
    await expect(part.swap(testCall(300_000))).rejects.toMatchObject({ code: "failed", engine: "neo4j" });
    await part.rollback(testCall(300_000));
    expect(await labels()).toEqual([{ label: "Live", n: 7 }]);
    await part.close();
  });

  it("is loaded by another process, after one that died with the server stopped", async () => {
    const part = await partWith();
    await part.prepare(testCall());
    await scene.task.save(testCall(), { stage: "stopped" });
    await operate("stop");
    await part.close();
    const another = await scene.part(targetOf(server));
    await another.swap(testCall(300_000));
    expect(await labels()).toEqual([{ label: "Dumped", n: 100 }]);
    await another.rollback(testCall(300_000));
    expect(await labels()).toEqual([{ label: "Live", n: 7 }]);
    await another.close();
  });

  it("is refused without the commands, and with a neo4j-admin of another version", async () => {
    await expect(partWith({ stop: undefined })).rejects.toMatchObject({ code: "usage" });
    const old = join(folder, "old-admin");
    writeFileSync(old, "echo 4.4.0\n");
    const part = await partWith({ admin: `sh ${old}` });
    await expect(part.plan(testCall(120_000))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("is of 4.4.0"),
    });
    await part.close();
  });
});
