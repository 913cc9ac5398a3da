/** Kills a restore of a graph at a moment, looks at what is there, and lets another process go on. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Target } from "../../src/config/targets.ts";
import type { Saved } from "../../src/restore/port.ts";
import { openDriver, run } from "../integration/graph-kit.ts";
import { type Material, sceneOf } from "../integration/graph-restore-kit.ts";
import { testCall } from "../support/calls.ts";
import type { TestNeo4j } from "../support/servers.ts";
import type { RunnerScene } from "./neo4j-restore-runner.ts";

const COUNT = 12_000;
const line = (value: object) => JSON.stringify(value);

/** Several batches of nodes and relationships, and a schema. */
export function largeGraph(): Material {
  const ids = Array.from({ length: COUNT }, (_, id) => id);
  const lines = [
    line({ type: "header", format: "opsctl-neo4j", version: 1 }),
    line({
      type: "constraint",
      name: "n",
      statement: "CREATE CONSTRAINT `n` FOR (n:`N`) REQUIRE (n.`i`) IS UNIQUE",
    }),
    line({ type: "index", name: "r", statement: "CREATE RANGE INDEX `r` FOR ()-[r:`R`]-() ON (r.`i`)" }),
    ...ids.map((id) => line({ type: "node", id, labels: ["N"], properties: { i: id } })),
    ...ids.map((id) =>
      line({
        type: "relationship",
        id,
        start: id,
        end: (id * 7) % COUNT,
        reltype: "R",
        properties: { i: id },
      }),
    ),
    line({ type: "footer", nodes: COUNT, relationships: COUNT, constraints: 1, indexes: 1 }),
    "",
  ];
  const expected = {
    counts: { nodes: COUNT, relationships: COUNT, constraints: 1, indexes: 1 },
    breakdown: { ":N": COUNT, "[:R]": COUNT },
  };
  return { kind: "neo4j-ndjson", content: lines.join("\n"), expected };
}

/** A moment of the restore: its mark says this, and so many milliseconds have passed since. */
export interface Moment {
  phase: string;
  ms: number;
}

/** @returns whether the process was killed before its end */
export async function killRestore(server: TestNeo4j, target: Target, moment: Moment): Promise<boolean> {
  const driver = openDriver(server);
  const scene = sceneOf([largeGraph()]);
  try {
    const first = await scene.part(target);
    await first.plan(testCall());
    await first.prepare(testCall(60_000));
    await first.close();
    const journal = join(scene.folder, "journal.json");
    const told = join(scene.folder, "scene.json");
    const { save: _, ...task } = scene.task;
    writeFileSync(journal, JSON.stringify(scene.saved()));
    writeFileSync(told, JSON.stringify({ target, task, journal } satisfies RunnerScene));
    const child = spawn(process.execPath, [join(import.meta.dirname, "neo4j-restore-runner.ts"), told], {
      stdio: "ignore",
    });
    const exited = once(child, "exit");
    const phase = async () =>
      (await run(driver, "MATCH (m:__opsctl_restore) RETURN m.phase AS phase"))[0]?.["phase"];
    while (child.exitCode === null && (await phase()) !== moment.phase) await delay(5);
    await delay(moment.ms);
    child.kill("SIGKILL");
    await exited;
    const wasKilled = child.signalCode === "SIGKILL";
    const saved = JSON.parse(readFileSync(journal, "utf8")) as Saved;
    await scene.task.save(testCall(), saved);
    // what is there is marked, or it is whole
    if (saved["state"] !== "loaded") expect(await phase()).toBeDefined();
    const another = await scene.part(target);
    await another.swap(testCall(120_000));
    const found = await another.verify(testCall());
    expect(found).toMatchObject({
      counts: { nodes: COUNT, relationships: COUNT, constraints: 1, indexes: 1 },
      problems: [],
    });
    expect(await phase()).toBeUndefined();
    await another.rollback(testCall(120_000));
    expect((await another.plan(testCall())).overwrites).toBe("nothing");
    await another.close();
    return wasKilled;
  } finally {
    scene.remove();
    await driver.close();
  }
}
