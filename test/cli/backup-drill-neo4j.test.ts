/** Drills of Neo4j: read to the end where there is no second server, loaded where there is one, and what is wrong with a graph. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import type { Metadata } from "../../src/backup/metadata.ts";
import { sidecarOf } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";
import { type OpenNeo4j, openNeo4j } from "../support/neo4j.ts";
import { damage } from "./backup-drill-kit.ts";

const box = new Sandbox({ shared: true });
const work = join(box.dir, "work-of-drills");
let neo4j: OpenNeo4j;
let env: Record<string, string>;
let archive: string;

beforeAll(async () => {
  mkdirSync(work);
  neo4j = openNeo4j();
  await neo4j.wipe();
  await run("CREATE CONSTRAINT person_id FOR (p:Person) REQUIRE p.id IS UNIQUE");
  await run("UNWIND range(1, 20) AS n CREATE (:Person {id: n})");
  await run("MATCH (a:Person), (b:Person {id: a.id + 1}) CREATE (a)-[:KNOWS]->(b)");
  const { uri, username, password } = neo4j;
  env = { NEO4J_USERNAME: username, NEO4J_PASSWORD: password, OPSCTL_RESTORE_DIR: work };
  const args = ["backup", "neo4j", "--format", "dir", "--name", "graph"];
  archive = String((await box.json("backup", args, { env: { ...env, NEO4J_URI: uri } }))["path"]);
});
afterEach(() => expect(readdirSync(work)).toEqual([]));
afterAll(async () => {
  await neo4j?.wipe();
  await neo4j?.connection.close();
  box.remove();
});

const run = (cypher: string) => neo4j.connection.command(testCall(), cypher);
const drill = (args: string[], settings: Record<string, string> = {}, code = 0) =>
  box.json("backup drill", ["backup", "drill", ...args], { env: { ...env, ...settings }, code });

it("counts as drilled when it was read to its end, and says so", async () => {
  const found = await drill([]);
  expect(found).toMatchObject({ ok: true, level: "drill", parts: [{ result: "ok", loaded: false }] });
  expect(sidecarOf(archive).drill).toMatchObject({ ok: true, parts: [{ loaded: false }] });
  expect((await box.ok(["backup", "list"], { env })).trimEnd()).toMatch(/\tok \S+ \(neo4j read only\)$/);
});

it("is not loaded into a server that holds something, and into an empty one it is", async () => {
  const own = { DRILL_NEO4J_URI: neo4j.uri };
  const refused = await box.run(["backup", "drill"], { env: { ...env, ...own } });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("no scratch server")]);
  await neo4j.wipe();
  // empty, and under another name, it is the live one all the same
  const live = { ...own, NEO4J_URI: neo4j.uri.replace("127.0.0.1", "localhost") };
  const isLive = await box.run(["backup", "drill"], { env: { ...env, ...live } });
  expect([isLive.code, isLive.stderr]).toEqual([2, expect.stringContaining("is the live server")]);
  const found = await drill([], own);
  expect(found).toMatchObject({ ok: true, level: "drill", parts: [{ result: "ok", loaded: true }] });
  expect(found["parts"][0].counts).toMatchObject({ nodes: 20, relationships: 19 });
  // and nothing of it stays
  const left = "MATCH (n) RETURN labels(n) AS labels LIMIT 1";
  expect(await neo4j.connection.read(testCall(), left)).toEqual([]);
});

/** Takes a line out of an export, and makes its own totals right. @param nth of its type */
function without(file: string, type: "node" | "relationship", nth: number): void {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const of = lines.filter((line) => JSON.parse(line).type === type);
  const left = lines.filter((line) => line !== of[nth]);
  const footer = JSON.parse(left.pop()!);
  footer[`${type}s`] -= 1;
  writeFileSync(file, `${[...left, JSON.stringify(footer)].join("\n")}\n`);
}

function claimLess({ parts }: Metadata): void {
  const [part] = parts;
  part!.counts["nodes"]! -= 1;
  for (const name of Object.keys(part!.breakdown)) if (name.includes("Person")) part!.breakdown[name]! -= 1;
}

it.each([
  {
    what: "a relationship is cut: its end is not there",
    change: (file: string) => without(file, "node", 7),
    claim: claimLess,
    problem: /relationship/,
  },
  {
    what: "a relationship is not there",
    change: (file: string) => without(file, "relationship", 3),
    claim: () => {},
    problem: /it holds 18, and the metadata says 19/,
  },
])("fails: $what", async ({ what, change, claim, problem }) => {
  const copy = join(box.dir, what.replaceAll(/\W/g, "-"), "graph");
  cpSync(archive, copy, { recursive: true });
  cpSync(sidecarPath(archive), sidecarPath(copy));
  await damage(copy, /\.ndjson$/, change, claim);
  await box.ok(["backup", "verify", copy], { env });
  const found = await drill([copy, "--trust-archive"], {}, 23);
  expect(found["parts"][0].problems.join("\n")).toMatch(problem);
  expect(sidecarOf(copy)).toMatchObject({ damaged: { level: "drill" } });
});
