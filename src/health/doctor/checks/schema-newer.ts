import { SHIPPED_SETS } from "../../../migrate/sets.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { appliedOf, eachSchema } from "./schema-scope.ts";

export const schemaNewer: Check<StackScope> = {
  id: "schema-newer",
  area: "stack",
  title: "a schema was written by a newer opsctl",
  looks: "the highest number of each shipped set in the history of each server",
  run: (call, scope) =>
    eachSchema(call, scope, (schema) =>
      SHIPPED_SETS.filter(({ engine, ofState }) => engine === schema.engine && !ofState).flatMap(
        (shipped) => {
          const applied = appliedOf(schema, shipped);
          if (applied <= shipped.latest) return [];
          const row = schema.history.findLast(
            ({ set_name, seq }) => set_name === shipped.set && seq === applied,
          );
          return [
            {
              severity: "error" as const,
              subject: `set ${shipped.set} of ${schema.engine} at ${schema.shown}`,
              evidence: `it has files up to number ${applied} by opsctl ${row?.tool_version ?? "unknown"}, and this opsctl knows ${shipped.latest}`,
              cause: "this program would misread what the newer one made, and refuses to use it",
              remedies: [],
              advice: "upgrade opsctl on this host to the version that wrote it, or a later one",
            },
          ];
        },
      ),
    ),
};
