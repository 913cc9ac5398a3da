/** A part of a set on its way into a Neo4j database: how depends on what its files are. */
import { OpsError } from "../../errors.ts";
import type { RestorePart, RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import type { BoltPart } from "./restore-graph.ts";

export async function neo4jRestore(task: RestoreTask, origin: Origin): Promise<RestorePart> {
  if (!has(task, "neo4j-dump")) return boltPart(task, origin);
  const { DumpPart } = await import("./restore-dump.ts");
  return new DumpPart(task, origin);
}

/**
 * A part that is restored over Bolt.
 * @param isDrill its mark in the database is that of a drill
 * @throws OpsError `integrity` when none of the files can be
 */
export async function boltPart(task: RestoreTask, origin: Origin, isDrill = false): Promise<BoltPart> {
  if (has(task, "neo4j-ndjson")) {
    const { NdjsonPart } = await import("./restore-graph.ts");
    return new NdjsonPart(task, origin, isDrill);
  }
  const { ScriptPart } = await import("./restore-script.ts");
  if (has(task, "neo4j-cypher")) return new ScriptPart(task, origin, isDrill);
  throw new OpsError({
    code: "integrity",
    engine: "neo4j",
    message: `the part ${task.name} has no file that Neo4j can be restored from`,
  });
}

function has({ files }: RestoreTask, kind: RestoreTask["files"][number]["kind"]): boolean {
  return files.some((file) => file.kind === kind);
}
