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
  /** `init` applies it when nobody names sets. */
  isDefault: boolean;
  /**
   * What its files make, as the engine's catalogue names it: tables, views, sequences and functions of PostgreSQL, tables of SQLite
   * (without the shadow tables of a virtual one), labels and relationship types of Neo4j. Redis has no names to own.
   */
  owns: readonly string[];
  /** A set of the host's state file, which opsctl keeps by itself; `init` is about data. */
  ofState?: true;
}

/** Every shipped set, in the order in which `init` applies them. */
export const SHIPPED_SETS: readonly ShippedSet[] = [
  {
    engine: "neo4j",
    set: "memory",
    schemaVersion: "v1.1.0",
    latest: 2,
    title: "fixes, agents, issues and their index",
    isDefault: true,
    owns: ["Memory", "Event", "Fix", "Issue", "Agent", "Term", "Stat", "OF", "RESOLVES", "APPLIED_BY"],
  },
  {
    engine: "neo4j",
    set: "catalog",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "products and what is compatible with which power source",
    isDefault: false,
    owns: ["PowerSource", "Feeder", "Cooler", "Interconnector", "Torch", "Accessory", "COMPATIBLE_WITH"],
  },
  {
    engine: "neo4j",
    set: "knowledge",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "persons and the concepts that interest them",
    isDefault: false,
    owns: ["Person", "Concept", "INTERESTED_IN"],
  },
  {
    engine: "postgres",
    set: "memory",
    schemaVersion: "v1.1.0",
    latest: 2,
    title: "records, events, agents and their index",
    isDefault: true,
    owns: ["memori_metadata", "memori_events", "memori_agents", "memori_terms", "memori_statistics"],
  },
  {
    engine: "postgres",
    set: "vectors",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "embeddings of records (pgvector)",
    isDefault: true,
    owns: ["memori_embeddings"],
  },
  {
    engine: "postgres",
    set: "sessions",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "archived sessions and their statistics",
    isDefault: false,
    owns: [
      "archived_sessions",
      "archived_sessions_id_seq",
      "session_summary_stats",
      "user_session_history",
      "calculate_session_duration",
    ],
  },
  {
    engine: "postgres",
    set: "embeddings",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "texts with embeddings, and conversations (pgvector)",
    isDefault: false,
    owns: ["embeddings", "embeddings_id_seq", "conversation_history", "conversation_history_id_seq"],
  },
  {
    engine: "redis",
    set: "namespaces",
    schemaVersion: "v1.0.0",
    latest: 1,
    title: "names, types and lifetimes of keys, checked",
    isDefault: false,
    owns: [],
  },
  {
    engine: "sqlite",
    set: "memory",
    schemaVersion: "v1.1.0",
    latest: 2,
    title: "records, events, agents and their index",
    isDefault: true,
    owns: [
      "memori_metadata",
      "memori_events",
      "memori_agents",
      "memori_index",
      "memori_terms",
      "memori_statistics",
    ],
  },
  {
    engine: "sqlite",
    set: "state",
    schemaVersion: "v1.3.0",
    latest: 4,
    title:
      "journal of writes on their way to servers, archives that were made here, restores that were begun here, samples",
    isDefault: true,
    owns: [
      "opsctl_journal",
      "opsctl_journal_targets",
      "opsctl_journal_clock",
      "opsctl_archives",
      "opsctl_archive_sequence",
      "opsctl_restores",
      "opsctl_restore_parts",
      "opsctl_samples",
    ],
    ofState: true,
  },
];

/** The sets for data, of all engines: what `init` offers. */
export const DATA_SETS: readonly ShippedSet[] = SHIPPED_SETS.filter(({ ofState }) => !ofState);

/** The sets for an engine's data. */
export function setsOf(engine: EngineName): ShippedSet[] {
  return DATA_SETS.filter((shipped) => shipped.engine === engine);
}

/** Those that `init` applies to an engine when nobody names sets. */
export function defaultSets(engine: EngineName): ShippedSet[] {
  return setsOf(engine).filter(({ isDefault }) => isDefault);
}

/** The sets of the host's state file. */
export function stateSets(): ShippedSet[] {
  return SHIPPED_SETS.filter((shipped) => shipped.ofState);
}

/** Everything that shipped sets make in an engine (`ShippedSet.owns`): not what a user's own files would meet. */
export function ownedNames(engine: EngineName): string[] {
  return SHIPPED_SETS.filter((shipped) => shipped.engine === engine).flatMap(({ owns }) => owns);
}
