/** Migrations of Neo4j that a test writes as texts, run by the runner that every command uses. */
import type { Call } from "../../src/call.ts";
import type { Neo4jConnection } from "../../src/engines/neo4j/connect.ts";
import { neo4jMigrations } from "../../src/engines/neo4j/migrations.ts";
import { sha256 } from "../../src/hash.ts";
import type { HistoryRow, Migration, MigrationTarget, Script, StepLimits } from "../../src/migrate/port.ts";
import { run } from "../../src/migrate/runner.ts";
import type { Source } from "../../src/migrate/source.ts";
import { testCall } from "../support/calls.ts";

function scriptOf(file: string, text: string): Script {
  return { file, text, checksum: `sha256:${sha256(text)}`, inTransaction: true };
}

/** `V001` and so on, in the order of the texts; a text, or one for each direction. */
export function sourceOf(...texts: (string | { up: string; down: string })[]): Source {
  const migrations = texts.map((text, index): Migration => {
    const version = `V${String(index + 1).padStart(3, "0")}`;
    const { up, down } = typeof text === "string" ? { up: text, down: null } : text;
    return {
      set: "user",
      version,
      seq: index + 1,
      description: "test",
      up: scriptOf(`${version}-test-up.cypher`, up),
      down: down === null ? null : scriptOf(`${version}-test-down.cypher`, down),
    };
  });
  return {
    engine: "neo4j",
    set: "user",
    title: "migrations/neo4j",
    place: "migrations/neo4j",
    format: "opsctl",
    migrations,
  };
}

export interface Files {
  target: MigrationTarget;
  up(source: Source, options?: Partial<RunSettings>): Promise<void>;
  down(source: Source, options?: Partial<RunSettings>): Promise<void>;
  /** One line a row: `V001 applied 0`. */
  states(): Promise<string[]>;
  rows(): Promise<HistoryRow[]>;
}

interface RunSettings extends StepLimits {
  call: Call;
  lockWaitMs: number;
}

/** Whatever the database holds besides is no obstacle: the tests put things there. */
export function filesOn(connection: Neo4jConnection): Files {
  const target: MigrationTarget = { ...neo4jMigrations(connection), occupants: async () => [] };
  const go =
    (direction: "up" | "down") =>
    async (source: Source, settings: Partial<RunSettings> = {}) => {
      const { call = testCall(60_000), lockWaitMs = 0, statementTimeoutMs = null } = settings;
      await run(call, target, source, direction, {
        extent: {},
        lockWaitMs,
        limits: { lockTimeoutMs: 1_000, statementTimeoutMs },
        onDone: () => {},
      });
    };
  const rows = () => target.history(testCall());
  return {
    target,
    up: go("up"),
    down: go("down"),
    rows,
    states: async () =>
      (await rows()).map(({ version, state, statement_index }) => `${version} ${state} ${statement_index}`),
  };
}
