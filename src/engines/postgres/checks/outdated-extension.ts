import { identifier } from "../quoting.ts";
import { ask, type PostgresCheck, statement } from "./kit.ts";

interface Row {
  name: string;
  installed: string;
  offered: string;
}

export const outdatedExtension: PostgresCheck = {
  id: "postgres-outdated-extension",
  area: "postgres",
  title: "an extension is older than its files",
  looks: "pg_available_extensions: installed_version against default_version",
  async run(call, scope) {
    const rows = await ask<Row>(
      call,
      scope,
      `SELECT name, installed_version AS installed, default_version AS offered FROM pg_available_extensions
       WHERE installed_version <> default_version ORDER BY name`,
    );
    return rows.map(({ name, installed, offered }) => ({
      severity: "info",
      subject: `extension ${name}`,
      evidence: `${installed} in this database, ${offered} on the server`,
      cause:
        "its package was updated, its objects in the database were not: what is new and what was mended there is missing",
      remedies: [statement(`ALTER EXTENSION ${identifier(name)} UPDATE`)],
    }));
  },
};
