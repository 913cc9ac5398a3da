import { nearWraparound } from "./ids.ts";
import type { PostgresCheck } from "./kit.ts";

export const wraparound: PostgresCheck = {
  id: "postgres-wraparound",
  area: "postgres",
  title: "transaction ids are running out",
  looks: "age(pg_database.datfrozenxid), age(pg_class.relfrozenxid)",
  run: (call, scope) =>
    nearWraparound(call, scope, {
      what: "transactions",
      ofDatabase: "age(d.datfrozenxid)",
      ofTable: "greatest(age(c.relfrozenxid), age(t.relfrozenxid))",
      cause:
        "vacuum does not freeze old rows as fast as ids are used; at the end the server refuses every write",
    }),
};
