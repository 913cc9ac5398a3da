import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startNeo4j } from "../../scripts/services/neo4j.ts";
import { Sandbox } from "../support/cli.ts";
import { seeded } from "./kill-import.ts";
import { neo4jSubject } from "./migrate-neo4j.ts";
import { killServer } from "./migrate-servers.ts";

const KILLS = 3;

/** The two that start fast are in migrate-servers.test.ts. */
it(`neo4j: ${KILLS} kills of the server in the middle of a run`, async () => {
  const box = new Sandbox({ shared: true });
  const dir = mkdtempSync(join(tmpdir(), "opsctl-server-"));
  let server = await startNeo4j({ dir });
  try {
    const { uri, username, port, password } = server;
    const subject = await neo4jSubject(box, { uri, username, password });
    const kill = () => process.kill(server.pid, "SIGKILL");
    const restart = async () => {
      server = await startNeo4j({ dir, port, password });
    };
    const tally = await killServer(box, { subject, kill, restart }, KILLS, seeded(13));
    expect(tally.kills).toBe(KILLS);
    await subject.drop();
  } finally {
    await server.stop();
    box.remove();
    rmSync(dir, { recursive: true, force: true });
  }
});
