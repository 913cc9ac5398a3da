import type { EngineName } from "../errors.ts";
import type { Engine } from "./engine.ts";

/** Every engine, by name. A new one is a folder beside these and a line here. */
export const ENGINES: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  neo4j: async () => (await import("./neo4j/engine.ts")).neo4j,
  postgres: async () => (await import("./postgres/engine.ts")).postgres,
  redis: async () => (await import("./redis/engine.ts")).redis,
  sqlite: async () => (await import("./sqlite/engine.ts")).sqlite,
};
