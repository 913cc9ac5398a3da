/** What the checks of Neo4j share. */
import type { Call } from "../../../call.ts";
import type { Check, Remedy } from "../../../health/doctor/check.ts";
import type { EngineScope } from "../../../health/doctor/scope.ts";
import type { Neo4jConnection } from "../connect.ts";
import { type Settings, settingsOf } from "../server-facts.ts";

export type Neo4jScope = EngineScope<Neo4jConnection>;
export type Neo4jCheck = Check<Neo4jScope>;

/** Half of the checks look at settings: those of one run are read once. */
const READ = new WeakMap<Call, Promise<Settings>>();

/** @throws Unknowable where the user may not see them */
export function settings(call: Call, { connection }: Neo4jScope): Promise<Settings> {
  const known = READ.get(call) ?? settingsOf(call, connection);
  READ.set(call, known);
  return known;
}

/** A statement as an operator would run it. */
export function cypher(statement: string, safe: boolean): Remedy {
  return { argv: ["opsctl", "query", "neo4j", statement, "--write"], safe };
}

/** What to do about a setting: Community reads it at the start only. */
export function setting(line: string): string {
  return `set ${line} in neo4j.conf, then restart Neo4j`;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 2 : 0)} MiB`;
}

export function seconds(ms: number): string {
  return `${Math.floor(ms / 1000)} s`;
}
