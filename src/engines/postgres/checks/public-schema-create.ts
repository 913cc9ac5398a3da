import { ask, type PostgresCheck, statement } from "./kit.ts";

interface Row {
  open: boolean;
  /** Roles that can log in and are neither superusers nor the owner of the database. */
  others: number;
}

const OPEN = `SELECT EXISTS (SELECT FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
    WHERE n.nspname = 'public' AND x.grantee = 0 AND x.privilege_type = 'CREATE') AS open,
  (SELECT count(*) FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper
    AND r.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())) AS others`;

export const publicSchemaCreate: PostgresCheck = {
  id: "postgres-public-schema-create",
  area: "postgres",
  title: "every role may create objects in the schema public",
  looks: "the privileges of the schema public (the default before PostgreSQL 15)",
  async run(call, scope) {
    const [row] = await ask<Row>(call, scope, OPEN);
    if (!row!.open) return [];
    return [
      {
        severity: row!.others > 0 ? "warning" : "info",
        subject: "schema public",
        evidence: `PUBLIC has CREATE; ${row!.others} roles besides superusers and the database's owner can log in`,
        cause:
          "any role can put functions there that others run by accident with their own rights (CVE-2018-1058)",
        remedies: [statement("REVOKE CREATE ON SCHEMA public FROM PUBLIC")],
        advice: "grant CREATE to the roles that need it, first",
      },
    ];
  },
};
