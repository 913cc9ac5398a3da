import { ask, type PostgresCheck } from "./kit.ts";

export const dataChecksums: PostgresCheck = {
  id: "postgres-data-checksums",
  area: "postgres",
  title: "pages have no checksums",
  looks: "data_checksums",
  async run(call, scope) {
    const [row] = await ask<{ value: string; folder: string | null }>(
      call,
      scope,
      `SELECT current_setting('data_checksums') AS value, (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS folder`,
    );
    if (row!.value !== "off") return [];
    return [
      {
        severity: "info",
        subject: "data_checksums",
        evidence: "off: pages are read as they are",
        cause: "a page that the disk returns damaged is not noticed, and goes into the backups",
        remedies: [],
        advice: `stop the server, pg_checksums --enable -D ${row!.folder ?? "the data directory"}, start it again; new ones: initdb --data-checksums`,
      },
    ];
  },
};
