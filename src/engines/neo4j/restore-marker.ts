/**
 * The node `:__opsctl_restore {id, phase, started_at}`, which is in a database while a restore or a drill fills it, and stays when that is killed: what
 * is there then is a part of a graph. Whoever reads the whole database (exports, checks of health) asks `markerOf` first.
 */
import type { Call } from "../../call.ts";
import type { Neo4jConnection } from "./connect.ts";

export const MARKER_LABEL = "__opsctl_restore";

/** `drill`: everything in the database is of a drill, and may be removed by the next one. */
export type MarkerPhase = "wiping" | "nodes" | "relationships" | "schema" | "drill";

export interface Marker {
  /** Of the restore. */
  id: string;
  phase: MarkerPhase;
}

const LOOK = `MATCH (m:${MARKER_LABEL}) RETURN m.id AS id, m.phase AS phase`;
const SET = `MERGE (m:${MARKER_LABEL}) ON CREATE SET m.started_at = datetime() SET m.id = $id, m.phase = $phase`;
const REMOVE = `MATCH (m:${MARKER_LABEL}) DELETE m`;

/** Undefined: nothing is under way there, or was left. */
export async function markerOf(call: Call, connection: Neo4jConnection): Promise<Marker | undefined> {
  return (await connection.read<Marker>(call, LOOK))[0];
}

export async function setMarker(call: Call, connection: Neo4jConnection, marker: Marker): Promise<void> {
  await connection.save(call, SET, { ...marker });
}

export async function removeMarker(call: Call, connection: Neo4jConnection): Promise<void> {
  await connection.save(call, REMOVE, {});
}
