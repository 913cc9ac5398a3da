import type { App } from "../app.ts";
import { type EngineName, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import type { Context } from "./command.ts";

const NAMES: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];
const ALIASES: Readonly<Record<string, EngineName>> = { postgresql: "postgres", pg: "postgres" };

/**
 * Positional `[ENGINE…]`: names, aliases or `all`; none or `all` means what is configured.
 * @param subcommands what may have been meant, where a command takes engines or a subcommand
 * @throws OpsError `usage` for an unknown name
 */
export function engineNames(
  given: readonly string[],
  configured: readonly EngineName[],
  subcommands: readonly string[] = [],
): EngineName[] {
  if (given.length === 0 || given.includes("all")) return NAMES.filter((name) => configured.includes(name));
  const wanted = given.map((text) => {
    const name = ALIASES[text] ?? NAMES.find((known) => known === text);
    if (name) return name;
    const known = [...NAMES, ...Object.keys(ALIASES), "all", ...subcommands];
    throw usageError(`"${text}" is no engine`, suggest(text, known) ?? `use ${NAMES.join(", ")} or all`);
  });
  return NAMES.filter((name) => wanted.includes(name));
}

const VARIABLES: Readonly<Record<EngineName, string>> = {
  neo4j: "NEO4J_URI",
  postgres: "DATABASE_URL",
  redis: "REDIS_URL",
  sqlite: "OPSCTL_DB",
};

/** @throws OpsError `usage` when an engine has no server to work on */
export function requireConfigured({ app }: Context, name: EngineName): void {
  if (app.migrationTarget(name)) return;
  throw usageError(`${name} is not configured`, `set ${VARIABLES[name]}`);
}

/** The one engine that a command works on. @throws OpsError `usage` for an unknown name, or an engine without a server */
export function oneEngine({ targets }: App, text: string): EngineName {
  if (text === "all") throw usageError('"all" is no single engine', `use one of ${NAMES.join(", ")}`);
  const [name] = engineNames([text], NAMES);
  if (!targets[name!]) throw usageError(`${name} is not configured`, `set ${VARIABLES[name!]}`);
  return name!;
}

/** Whether a text names an engine. */
export function isEngineName(text: string): boolean {
  return text in ALIASES || NAMES.some((name) => name === text);
}
