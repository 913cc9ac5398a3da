import { SHIPPED_SETS } from "../../../migrate/sets.ts";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { eachSchema, entriesIn, flagsOf, sourcesOf } from "./schema-scope.ts";

export const migrationEdited: Check<StackScope> = {
  id: "migration-edited",
  area: "stack",
  title: "an applied migration file was edited, or is gone",
  looks: "the checksums of history against those of the files",
  run: (call, scope) =>
    eachSchema(call, scope, (schema) =>
      sourcesOf(schema, SHIPPED_SETS).flatMap((source) =>
        entriesIn(schema, source)
          .filter(
            ({ state, row }) => (state === "edited" || state === "missing") && !isNewer(source.set, row!.seq),
          )
          .map(({ version, row, state, migration }) => {
            const isGone = state === "missing";
            const mark = isGone ? "reverted" : "applied";
            return {
              severity: "warning" as const,
              subject: `${version} of ${source.title} on ${schema.engine} at ${schema.shown}`,
              evidence: isGone
                ? `${row!.file} was applied and is not in ${source.place}`
                : `${migration!.up.file} has the checksum ${migration!.up.checksum.slice(0, 19)}…, and ${row!.checksum.slice(0, 19)}… was applied`,
              cause: "nobody can tell any more what this database was made of; migrate up refuses to go on",
              remedies: [
                {
                  argv: [
                    "opsctl",
                    "migrate",
                    "repair",
                    schema.engine,
                    version,
                    "--mark",
                    mark,
                    ...flagsOf(source),
                    "--yes",
                  ],
                  safe: false,
                },
              ],
              advice: isGone
                ? "put the file back, best from version control; --mark reverted forgets the version instead"
                : "restore the file as it was applied, and write changes into a new version; --mark applied takes it as it is now",
            };
          }),
      ),
    ),
};

/** Of a shipped set that a newer opsctl wrote there are no files here; that is a finding of its own. */
function isNewer(set: string, seq: number): boolean {
  const shipped = SHIPPED_SETS.find((one) => one.set === set);
  return shipped !== undefined && seq > shipped.latest;
}
