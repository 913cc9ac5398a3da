/** A Neo4j that goes away in the middle of its export, and writers that must not be held by a backup that has ended. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { latest, listArchives } from "../../src/backup/archives.ts";
import {
  backupsOf,
  lastArchive,
  leftoversIn,
  makeSqlite,
  problemsIn,
  processesOf,
  sidecarOf,
  spooledIn,
} from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { collect, Sandbox, until } from "../support/cli.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";

/** Some 7 MB that do not compress well. */
const FILL = `
  UNWIND range(1, 6000) AS n
  CREATE (a:Large {n: n, text: reduce(text = '', i IN range(1, 60) | text + toString(rand()))})-[:NEXT {n: n}]->(:Small)`;

describe("a graph that is exported", () => {
  let graph: OpenNeo4j;
  let proxy: TestProxy;
  let box: Sandbox;
  let folder: string;
  let file: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    graph = openNeo4j();
    await graph.wipe();
    await graph.connection.command(testCall(), FILL);
    const { hostname, port } = new URL(graph.uri);
    proxy = await startProxy({ target: { host: hostname, port: Number(port) } });
  });
  afterAll(async () => {
    await proxy.close();
    await graph.wipe();
    await graph.connection.close();
  });
  beforeEach(() => {
    box = new Sandbox();
    folder = backupsOf(box);
    file = makeSqlite(join(box.dir, "app.db"), 100_000);
    env = {
      NEO4J_URI: `bolt://127.0.0.1:${proxy.port}`,
      NEO4J_USERNAME: graph.username,
      NEO4J_PASSWORD: graph.password,
      OPSCTL_BACKUP_STALL: "2s",
    };
  });
  afterEach(async () => {
    await proxy.up();
    box.remove();
  });

  const FAULTS: Record<string, () => unknown> = {
    "is cut": () => proxy.down(),
    "is reset": () => proxy.resetPeer(),
    "says nothing any more": () => proxy.timeout(),
  };

  it.each(Object.entries(FAULTS))(
    "its connection %s: the set is incomplete, writers go on",
    async (_, fault) => {
      proxy.slicer(8_192);
      const args = ["backup", "neo4j", "sqlite", "--sqlite", file, "--freeze", "always"];
      const child = box.start(args, { env });
      const ended = collect(child);
      await until(
        "the run is in the middle of the data",
        () => child.exitCode !== null || spooledIn(folder) > 1_000_000,
      );
      await fault();
      const ran = await ended;
      expect(ran.code, ran.stderr).toBe(3);
      expect(ran.stderr).toMatch(/neo4j[\s\S]*\nTry: ./);
      expect(ran.stderr).not.toMatch(/\n\s+at /);
      expect(ran.stderr).not.toContain(graph.password);
      const { metadata } = sidecarOf(lastArchive(folder));
      expect(metadata.state).toBe("incomplete");
      const failed = metadata.parts.filter(({ state }) => state === "failed");
      expect(failed.map(({ engine, files }) => ({ engine, files }))).toEqual([
        { engine: "neo4j", files: [] },
      ]);
      expect(["unreachable", "failed"], failed[0]!.error!.message).toContain(failed[0]!.error!.code);
      expect(latest(await listArchives(folder))).toBeUndefined();
      expect(leftoversIn(folder)).toEqual([]);
      expect(await problemsIn(folder)).toEqual([]);
      expect(processesOf(box)).toEqual([]);
      // what is behind a silent proxy still holds its connections: it is ended as a network would
      await proxy.down();
      await graph.connection.command(testCall(), "CREATE (:Large {n: 0}), (:Small)-[:NEXT]->(:Small)");
    },
  );
});
