import type { PostgresCheck } from "./kit.ts";
import { whenOff } from "./setting-off.ts";

export const fsyncOff: PostgresCheck = {
  id: "postgres-fsync-off",
  area: "postgres",
  title: "nothing is forced to disk",
  looks: "fsync",
  run: (call, scope) =>
    whenOff(
      call,
      scope,
      "fsync",
      "after a power failure or a crash of the machine the database is damaged beyond repair",
    ),
};
