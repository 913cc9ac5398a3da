import type { App } from "../app.ts";
import type { EngineProbe } from "../health/probes.ts";

const TITLES = { neo4j: "Neo4j", postgres: "PostgreSQL", redis: "Redis", sqlite: "SQLite" } as const;

/** How to ask each configured engine. */
export function engineProbes(app: App): EngineProbe[] {
  return app.configured().map((name) => ({
    name,
    title: TITLES[name],
    probe: () => app.probe(app.targets[name]!),
  }));
}
