/** A restore that is killed: its mark stays until another process has done it again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { targetOf } from "../integration/graph-kit.ts";
import { neo4jServer } from "../support/servers.ts";
import { killRestore } from "./neo4j-restore-kill.ts";

const server = neo4jServer();
beforeAll(() => server.wipe());
afterAll(() => server.wipe());

it("killed while it makes relationships goes on in another process, and goes back", async () => {
  expect(await killRestore(server, targetOf(server), { phase: "relationships", ms: 0 })).toBe(true);
});
