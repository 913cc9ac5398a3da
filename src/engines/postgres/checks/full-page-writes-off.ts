import type { PostgresCheck } from "./kit.ts";
import { whenOff } from "./setting-off.ts";

export const fullPageWritesOff: PostgresCheck = {
  id: "postgres-full-page-writes-off",
  area: "postgres",
  title: "half-written pages are not repaired",
  looks: "full_page_writes",
  run: (call, scope) =>
    whenOff(
      call,
      scope,
      "full_page_writes",
      "a page that was half written when the machine stopped stays damaged, unless the file system itself writes whole pages (ZFS)",
    ),
};
