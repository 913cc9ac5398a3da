/** Swaps a graph in, as a process that can be killed: `neo4j-restore-runner.ts SCENE`, a JSON of target, task and the journal's file. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Target } from "../../src/config/targets.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import type { RestoreTask, Saved } from "../../src/restore/port.ts";
import { LIMITS } from "../integration/graph-kit.ts";
import { testCall } from "../support/calls.ts";

/** What the process is told. */
export interface RunnerScene {
  target: Target;
  task: Omit<RestoreTask, "save">;
  journal: string;
}

if (process.argv[2]) {
  const { target, task, journal } = JSON.parse(readFileSync(process.argv[2], "utf8")) as RunnerScene;
  const save = async (_: unknown, saved: Saved) => {
    writeFileSync(`${journal}.new`, JSON.stringify(saved));
    renameSync(`${journal}.new`, journal);
  };
  const part = await engine.capabilities.restore!({ ...task, save }, { target, limits: LIMITS });
  await part.swap(testCall(120_000));
  await part.close();
}
