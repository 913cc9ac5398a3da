import type { Call } from "../../../call.ts";
import { toOpsError } from "../../../errors.ts";
import type { ShippedSet } from "../../../migrate/sets.ts";
import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";
import { appliedOf, eachSchema, type Schema } from "./schema-scope.ts";

/** What remember and recall need. */
const MEMORY = "memory";

export const schemaMissing: Check<StackScope> = {
  id: "schema-missing",
  area: "stack",
  title: "a shipped schema is missing, or what it made is gone",
  looks:
    "the history of each server against the sets that init applies, and whether their tables and indexes are there",
  run: (call, scope) =>
    eachSchema(call, scope, async (schema) => {
      // the embedded file is made on first use
      if (schema.engine === "sqlite") return [];
      const found: Found[] = [];
      for (const shipped of schema.chosen) found.push(...(await missing(call, schema, shipped)));
      return found;
    }),
};

async function missing(call: Call, schema: Schema, shipped: ShippedSet): Promise<Found[]> {
  const { engine, shown, migrations } = schema;
  const { set, title } = shipped;
  const remedies = [{ argv: ["opsctl", "init", engine], safe: false }];
  if (appliedOf(schema, shipped) > 0) {
    const problem = await unverified(call, schema, shipped);
    if (problem === null) return [];
    return [
      {
        severity: "error",
        subject: `set ${set} of ${engine} at ${shown}`,
        evidence: `history says that it is applied, and it cannot be counted: ${problem}`,
        cause: "something that it made was dropped or renamed, or the user may not see it any more",
        remedies: [],
        advice: `opsctl migrate repair ${engine} --set ${set} --mark reverted, then opsctl init ${engine}, makes it again, empty; opsctl restore latest --only ${engine} brings its rows back`,
      },
    ];
  }
  // one that was broken off is a finding of its own
  if (schema.history.some((row) => row.set_name === set && row.state !== "reverted")) return [];
  const reason = await migrations.unavailable(call, set);
  const isNeeded = set === MEMORY || schema.areNamed;
  if (reason !== null) {
    return [
      {
        severity: schema.areNamed ? "warning" : "info",
        subject: `set ${set} of ${engine} at ${shown}`,
        evidence: `it cannot be applied here: ${reason}`,
        cause: `${title}: not to be had on this server`,
        remedies: [],
        advice: `install what is missing on the server, then opsctl init ${engine}`,
      },
    ];
  }
  return [
    {
      severity: isNeeded ? "warning" : "info",
      subject: `set ${set} of ${engine} at ${shown}`,
      evidence: "nothing of it is applied",
      cause:
        set === MEMORY
          ? `remember, recall and fixes cannot use ${TITLES[engine]}: what is written waits in the queue`
          : `without it there is no place for ${title}`,
      remedies,
    },
  ];
}

/** Why what a set made cannot be counted; null: it can. */
async function unverified(call: Call, { migrations }: Schema, { set }: ShippedSet): Promise<string | null> {
  try {
    await migrations.verify(call, set);
    return null;
  } catch (error) {
    const known = toOpsError(error);
    // a server that is busy or gone says nothing about its tables
    if (known.code !== "failed") throw known;
    return known.message;
  }
}
