/** Which checks there are, and which of them are asked for. */
import type { App } from "../app.ts";
import { type EngineName, usageError } from "../errors.ts";
import type { Area, Check, CheckInfo } from "../health/doctor/check.ts";
import { bind, type CheckGroup } from "../health/doctor/run.ts";
import type { StackScope } from "../health/doctor/scope.ts";
import type { EngineReport } from "../health/probes.ts";
import { suggest } from "../suggest.ts";

const ENGINES: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];
const ALIASES: Readonly<Record<string, string>> = { postgresql: "postgres", pg: "postgres" };

/** The checks of every engine, configured or not, and those beside them. */
export interface Catalogue {
  engines: readonly { engine: EngineName; checks: readonly CheckInfo[] }[];
  stack: readonly (readonly Check<StackScope>[])[];
}

/** Connects to nothing. */
export async function catalogueOf(app: App): Promise<Catalogue> {
  const engines = ENGINES.map(async (engine) => ({ engine, checks: await app.listChecks(engine) }));
  const { stackGroups } = await import("../health/doctor/checks/index.ts");
  return { engines: await Promise.all(engines), stack: stackGroups };
}

export function allChecks({ engines, stack }: Catalogue): CheckInfo[] {
  return [...stack.flat(), ...engines.flatMap(({ checks }) => checks)];
}

/** Whether a check is asked for. */
export type Chosen = (check: Pick<CheckInfo, "id" | "area">) => boolean;

/**
 * Ids, areas (`backup`) and beginnings (`postgres`, `redis-memory*`); none means all.
 * @throws OpsError `usage` for a text that no check has
 */
export function chosenChecks(catalogue: Catalogue, given: readonly string[]): Chosen {
  const checks = allChecks(catalogue);
  const tests = given.map((text) => {
    const test = testOf(ALIASES[text] ?? text);
    if (text !== "" && checks.some(test)) return test;
    const areas = new Set<string>(checks.map(({ area }) => area));
    throw usageError(
      `there is no check "${text}"`,
      suggest(text, [...checks.map(({ id }) => id), ...areas]) ?? "opsctl doctor --list",
    );
  });
  return (check) => tests.length === 0 || tests.some((test) => test(check));
}

function testOf(text: string): Chosen {
  if (text.endsWith("*")) return ({ id }) => id.startsWith(text.slice(0, -1));
  return ({ id, area }) => id === text || area === (text as Area) || id.startsWith(`${text}-`);
}

/** The engines of which a check is asked for. @throws OpsError `usage` when only engines are asked for that are not configured */
export function chosenEngines(app: App, catalogue: Catalogue, isChosen: Chosen): EngineName[] {
  const wanted = catalogue.engines.filter(({ checks }) => checks.some(isChosen)).map(({ engine }) => engine);
  const configured = app.configured();
  const found = wanted.filter((engine) => configured.includes(engine));
  if (found.length > 0 || catalogue.stack.flat().some(isChosen)) return found;
  throw usageError(
    `${wanted.join(", ")} is not configured`,
    "set its URL, or leave the name out; opsctl env shows what is set",
  );
}

/**
 * The checks that run: of an engine that did not answer none does, and why is found by those of connections.
 * @param engines of which checks are asked for
 */
export async function groupsOf(
  app: App,
  catalogue: Catalogue,
  scope: StackScope,
  engines: readonly EngineName[],
  isChosen: Chosen,
): Promise<CheckGroup[]> {
  const silent = scope.engines.some(
    ({ engine, status }) => status === "disconnected" && engines.includes(engine),
  );
  const isWanted: Chosen = (check) => isChosen(check) || (silent && check.id.startsWith("connection-"));
  const stack = catalogue.stack.map((checks) => ({
    engine: null,
    checks: checks.filter(isWanted).map((check) => bind(check, scope)),
  }));
  const own = await Promise.all(
    engines.map(async (engine) => ({
      engine,
      checks: (await app.checks(app.targets[engine]!)).filter(isChosen),
      ...hindranceOf(scope.engines.find((one) => one.engine === engine)),
    })),
  );
  return [...stack, ...own].filter(({ checks }) => checks.length > 0);
}

/** A server that answered with a refusal, and a damaged file, may be what the engine's own checks are about. */
function hindranceOf(report: EngineReport | undefined): Pick<CheckGroup, "absent" | "doubt"> {
  const message = report?.message ?? undefined;
  const isGone = report?.code === "unreachable" || report?.code === "auth";
  return isGone ? { absent: message } : { doubt: message };
}
