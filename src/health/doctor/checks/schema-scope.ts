/** What the checks of schemas share. */
import type { Call } from "../../../call.ts";
import type { EngineName } from "../../../errors.ts";
import { type Entry, entriesOf } from "../../../migrate/history.ts";
import type { ShippedSet } from "../../../migrate/sets.ts";
import { type Source, shippedSource, USER_SET } from "../../../migrate/source.ts";
import type { Found } from "../check.ts";
import type { EngineSchema, StackScope } from "../scope.ts";

export interface Schema extends EngineSchema {
  engine: EngineName;
  /** Where it is, without secrets. */
  shown: string;
}

/**
 * Asks for each engine that answers.
 * @throws OpsError of the first that cannot be asked
 */
export async function eachSchema(
  call: Call,
  scope: StackScope,
  look: (schema: Schema) => Found[] | Promise<Found[]>,
): Promise<Found[]> {
  const found: Found[] = [];
  for (const { engine, status } of scope.engines) {
    const target = scope.targets.find((one) => one.engine === engine);
    if (status !== "connected" || !target) continue;
    found.push(...(await look({ ...(await scope.schema(call, engine)), engine, shown: target.shown })));
  }
  return found;
}

/** The highest number of a set that history calls applied; 0: none. */
export function appliedOf({ history }: Schema, { set }: Pick<ShippedSet, "set">): number {
  const applied = history.filter(({ set_name, state }) => set_name === set && state === "applied");
  return Math.max(0, ...applied.map(({ seq }) => seq));
}

/** Everything that has files here: the sets in history, and the user's folder. */
export function sourcesOf(schema: Schema, shipped: readonly ShippedSet[]): Source[] {
  const names = new Set(schema.history.map(({ set_name }) => set_name));
  const sets = shipped.filter(({ engine, set }) => engine === schema.engine && names.has(set));
  const sources = sets.map(({ engine, set }) => shippedSource(engine, set));
  return schema.user === null ? sources : [...sources, schema.user];
}

/** Files and history of a source together. */
export function entriesIn({ history }: Schema, { set, migrations }: Source): Entry[] {
  return entriesOf(
    migrations,
    history.filter(({ set_name }) => set_name === set),
  );
}

/** Flags of `opsctl migrate` that name the source. */
export function flagsOf({ set }: Source): string[] {
  return set === USER_SET ? [] : ["--set", set];
}
