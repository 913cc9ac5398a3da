import { nearWraparound } from "./ids.ts";
import type { PostgresCheck } from "./kit.ts";

export const multixact: PostgresCheck = {
  id: "postgres-multixact",
  area: "postgres",
  title: "multixact ids are running out",
  looks: "mxid_age(pg_database.datminmxid), mxid_age(pg_class.relminmxid)",
  run: (call, scope) =>
    nearWraparound(call, scope, {
      what: "multixacts",
      ofDatabase: "mxid_age(d.datminmxid)",
      ofTable: "greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid))",
      cause:
        "rows locked by several sessions at once use these ids up faster than vacuum frees them; at the end the server refuses such locks",
    }),
};
