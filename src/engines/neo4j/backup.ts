/** A Neo4j database as a part of a backup. */
import type { BackupOptions, BackupPart } from "../../backup/port.ts";
import type { Origin } from "../engine.ts";

/** The one database that the target names. */
export async function neo4jParts(origin: Origin, options: BackupOptions): Promise<BackupPart[]> {
  if (options.neo4j.method === "dump") {
    const { DumpPart } = await import("./backup-dump.ts");
    return [new DumpPart(origin, options.neo4j)];
  }
  const { ExportPart } = await import("./backup-export.ts");
  return [new ExportPart(origin, options.neo4j)];
}
