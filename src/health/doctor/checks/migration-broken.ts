import type { Call } from "../../../call.ts";
import { toOpsError } from "../../../errors.ts";
import { SHIPPED_SETS } from "../../../migrate/sets.ts";
import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { counted } from "../words.ts";
import { eachSchema, entriesIn, flagsOf, type Schema, sourcesOf } from "./schema-scope.ts";

export const migrationBroken: Check<StackScope> = {
  id: "migration-broken",
  area: "stack",
  title: "a migration was broken off in the middle",
  looks: "rows of opsctl_migrations whose state is running or failed, while no runner has the lock",
  run: (call, scope) =>
    eachSchema(call, scope, async (schema) => {
      const found = sourcesOf(schema, SHIPPED_SETS).flatMap((source) =>
        entriesIn(schema, source)
          .filter(({ broken }) => broken !== null)
          .map(({ version, row, broken }): Found => {
            const { engine, shown } = schema;
            const repair = ["opsctl", "migrate", "repair", engine, version, "--retry", ...flagsOf(source)];
            return {
              severity: "error",
              subject: `${version} of ${source.title} on ${engine} at ${shown}`,
              evidence: `${row!.file} is ${row!.state} on the way ${broken}: ${counted(row!.statement_index, "statement")} done`,
              cause: "its runner was killed, or a statement failed: the schema is between two versions",
              remedies: [{ argv: repair, safe: false }],
              advice:
                "look at the database first: --retry runs the rest from the statement that was under way, --mark applied takes the file as done",
            };
          }),
      );
      return found.length > 0 && (await isAtWork(call, schema)) ? [] : found;
    }),
};

/** A run that is still at work leaves the same rows until it is done. */
async function isAtWork(call: Call, { migrations }: Schema): Promise<boolean> {
  try {
    await migrations.exclusively(call, 0, async () => {});
    return false;
  } catch (error) {
    if (toOpsError(error).code === "locked") return true;
    throw error;
  }
}
