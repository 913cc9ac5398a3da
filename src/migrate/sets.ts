import type { EngineName } from "../errors.ts";

/** A schema that opsctl ships for one engine, as files in `init/<engine>/<set>/`. */
export interface ShippedSet {
  engine: EngineName;
  set: string;
  /** What the guides call the schema's version. */
  schemaVersion: string;
  /** Number of the last file, so that checking an up-to-date store reads no file. */
  latest: number;
  title: string;
  /** A set of the host's state file, which opsctl keeps by itself; `init` is about data. */
  ofState?: true;
}

/** Every shipped set, in the order in which `init` applies them. */
export const SHIPPED_SETS: readonly ShippedSet[] = [
  {
    engine: "neo4j",
    set: "memory",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "fixes, agents, issues and their index",
  },
  {
    engine: "postgres",
    set: "memory",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "records, events, agents and their index",
  },
  {
    engine: "postgres",
    set: "vectors",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "embeddings (pgvector)",
  },
  {
    engine: "sqlite",
    set: "memory",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "records, events, agents and their index",
  },
  {
    engine: "sqlite",
    set: "state",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "journal of writes on their way to servers",
    ofState: true,
  },
];

/** The sets that `init` applies to an engine. */
export function setsOf(engine: EngineName): ShippedSet[] {
  return SHIPPED_SETS.filter((shipped) => shipped.engine === engine && !shipped.ofState);
}

/** The sets of the host's state file. */
export function stateSets(): ShippedSet[] {
  return SHIPPED_SETS.filter((shipped) => shipped.ofState);
}
