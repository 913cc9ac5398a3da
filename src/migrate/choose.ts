/** Which of the shipped sets `init` applies. */
import { type EngineName, type OpsError, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { DATA_SETS, defaultSets, type ShippedSet, setsOf, stateSets } from "./sets.ts";
import { USER_SET } from "./source.ts";

const ALL = "all";

export interface ChosenSets {
  /** Somebody asked for them by name: one that cannot be had is then a failure. */
  areNamed: boolean;
  of(engine: EngineName): ShippedSet[];
}

/** What `init` applies when nobody says anything. */
export const DEFAULT_SETS: ChosenSets = { areNamed: false, of: defaultSets };

/**
 * Reads `NAME[,NAME…]` or `all`.
 * @param origin where the text stands, for messages: `--sets`
 * @param engines each name must be a set of one of these; null: of any engine
 * @throws OpsError `usage` for a name that none of them has
 */
export function chooseSets(text: string, origin: string, engines: readonly EngineName[] | null): ChosenSets {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) {
    throw usageError(`${origin}: a name is missing`, `write set names separated by commas, or ${ALL}`);
  }
  const inReach = DATA_SETS.filter(({ engine }) => engines === null || engines.includes(engine));
  for (const name of names) {
    if (name !== ALL && !inReach.some(({ set }) => set === name)) throw unknownSet(name, origin, inReach);
  }
  if (names.includes(ALL)) return { areNamed: false, of: setsOf };
  return { areNamed: true, of: (engine) => setsOf(engine).filter(({ set }) => names.includes(set)) };
}

function unknownSet(name: string, origin: string, inReach: readonly ShippedSet[]): OpsError {
  if (name === USER_SET) {
    return usageError(`${origin}: "${name}" is no shipped set but your own files`, "opsctl migrate up");
  }
  if (stateSets().some(({ set }) => set === name)) {
    return usageError(
      `${origin}: the set "${name}" belongs to opsctl's state file, which opsctl keeps by itself`,
      "leave it out",
    );
  }
  const elsewhere = DATA_SETS.filter(({ set }) => set === name).map(({ engine }) => engine);
  if (elsewhere.length > 0) {
    return usageError(
      `${origin}: the set "${name}" is for ${elsewhere.join(" and ")}, which this run leaves out`,
      `opsctl init ${elsewhere.join(" ")} --sets ${name}`,
    );
  }
  const names = [...new Set(inReach.map(({ set }) => set))];
  return usageError(
    `${origin}: there is no shipped set "${name}"`,
    suggest(name, [...names, ALL]) ?? `it may name ${names.join(", ")}, or ${ALL}`,
  );
}
