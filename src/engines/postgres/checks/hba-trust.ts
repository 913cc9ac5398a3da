import { type Found, Unknowable } from "../../../health/doctor/check.ts";
import { ask, type PostgresCheck, superuserOnly } from "./kit.ts";
import { placeOf } from "./where.ts";

interface Row {
  line: number;
  kind: string;
  databases: string;
  users: string;
  address: string | null;
  local: boolean;
  file: string | null;
}

const TRUSTED = `SELECT line_number AS line, type AS kind, array_to_string(database, ',') AS databases, array_to_string(user_name, ',') AS users,
    address, type = 'local' OR address IN ('127.0.0.1', '::1', 'localhost', 'samehost') AS local,
    (SELECT setting FROM pg_settings WHERE name = 'hba_file') AS file
  FROM pg_hba_file_rules WHERE auth_method = 'trust' ORDER BY line_number`;

export const hbaTrust: PostgresCheck = {
  id: "postgres-hba-trust",
  area: "postgres",
  title: "anybody may connect without a password",
  looks: "pg_hba_file_rules: the method trust",
  async run(call, scope) {
    const rows = await trusted();
    const isContainer = (await placeOf(call, scope)) === "forwarded";
    return rows.map((row) => describe(row, isContainer));

    async function trusted(): Promise<Row[]> {
      try {
        return await ask<Row>(call, scope, TRUSTED);
      } catch (error) {
        throw error instanceof Unknowable ? superuserOnly(scope, "pg_hba_file_rules") : error;
      }
    }
  },
};

/** @param isContainer what is local to the server is not local to this host */
function describe({ line, kind, databases, users, address, local, file }: Row, isContainer: boolean): Found {
  const rule = [kind, databases, users, ...(address === null ? [] : [address]), "trust"].join(" ");
  return {
    severity: local ? (isContainer ? "info" : "warning") : "error",
    subject: `pg_hba.conf, line ${line}`,
    evidence: `“${rule}”`,
    cause: local
      ? `every user and program ${isContainer ? "in the server's container" : "of the server's host"} can be any role, superusers included`
      : "everybody who reaches the port from there can be any role, superusers included",
    remedies: [],
    advice: `in ${file ?? "pg_hba.conf"}, line ${line}: scram-sha-256 instead of trust; then SELECT pg_reload_conf(). See first that the roles have passwords`,
  };
}
