/** Kills in all phases of a restore. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { targetOf } from "../integration/graph-kit.ts";
import { neo4jServer } from "../support/servers.ts";
import { killRestore, type Moment } from "./neo4j-restore-kill.ts";

const KILLS = 20;
const PHASES = ["wiping", "nodes", "relationships", "schema"];
const server = neo4jServer();
beforeAll(() => server.wipe());
afterAll(() => server.wipe());

it(`killed ${KILLS} times, it always goes on and back`, async () => {
  let killed = 0;
  for (let i = 0; i < KILLS; i++) {
    const moment: Moment = { phase: PHASES[i % PHASES.length]!, ms: Math.floor(Math.random() * 300) };
    if (await killRestore(server, targetOf(server), moment)) killed += 1;
  }
  expect(killed).toBeGreaterThan(KILLS / 2);
});
