import { isPending } from "../../../migrate/history.ts";
import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { counted, some } from "../words.ts";
import { appliedOf, eachSchema, entriesIn, type Schema } from "./schema-scope.ts";

export const schemaBehind: Check<StackScope> = {
  id: "schema-behind",
  area: "stack",
  title: "a schema is older than its files",
  looks:
    "the history of each server against the shipped sets, and against the files in the folder of migrations",
  run: (call, scope) =>
    eachSchema(call, scope, (schema) => [...shippedBehind(schema), ...userBehind(schema)]),
};

function shippedBehind(schema: Schema): Found[] {
  // the embedded file is brought up to date by its next use
  if (schema.engine === "sqlite") return [];
  return schema.chosen.flatMap((shipped): Found[] => {
    const applied = appliedOf(schema, shipped);
    if (applied === 0 || applied >= shipped.latest) return [];
    return [
      {
        severity: "warning",
        subject: `set ${shipped.set} of ${schema.engine} at ${schema.shown}`,
        evidence: `it has files up to number ${applied}, and this opsctl brings ${shipped.latest}`,
        cause: "opsctl was upgraded and init was not run since: what the new files make is missing",
        remedies: [{ argv: ["opsctl", "init", schema.engine], safe: false }],
      },
    ];
  });
}

function userBehind(schema: Schema): Found[] {
  const { user, engine, shown } = schema;
  if (user === null) return [];
  const pending = entriesIn(schema, user).filter((entry) => isPending(entry) && entry.broken === null);
  if (pending.length === 0) return [];
  const names = pending.map(({ version, migration, row }) => migration?.up.file ?? row?.file ?? version);
  return [
    {
      severity: "warning",
      subject: `${user.title} on ${engine} at ${shown}`,
      evidence: `${counted(pending.length, "file")} not applied: ${some(names)}`,
      cause: "programs that were written for the new schema fail on the old one",
      remedies: [{ argv: ["opsctl", "migrate", "up", engine], safe: false }],
    },
  ];
}
