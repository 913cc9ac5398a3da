import { type Found, Unknowable } from "../../../health/doctor/check.ts";
import { ask, type PostgresCheck, toSet } from "./kit.ts";

export const passwordEncryption: PostgresCheck = {
  id: "postgres-password-encryption",
  area: "postgres",
  title: "passwords are kept as MD5",
  looks: "password_encryption; pg_authid.rolpassword where it may be read",
  async run(call, scope) {
    const [row] = await ask<{ value: string }>(
      call,
      scope,
      "SELECT current_setting('password_encryption') AS value",
    );
    const cause = "whoever reads an MD5 password, in a backup for example, can log in with it as it is";
    const found: Found[] = [];
    if (row!.value !== "scram-sha-256") {
      found.push({
        severity: "info",
        subject: "password_encryption",
        evidence: `${row!.value}: new passwords are kept as MD5`,
        cause,
        ...(await toSet(call, scope, "password_encryption", "scram-sha-256", true)),
      });
    }
    const roles = await ask<{ names: string | null }>(
      call,
      scope,
      "SELECT string_agg(quote_ident(rolname), ', ' ORDER BY rolname) AS names FROM pg_authid WHERE rolpassword LIKE 'md5%'",
    ).catch((error) => {
      // the setting is known all the same
      if (error instanceof Unknowable) return [];
      throw error;
    });
    const names = roles[0]?.names ?? null;
    if (names !== null) {
      found.push({
        severity: "info",
        subject: "roles with MD5 passwords",
        evidence: names,
        cause,
        remedies: [],
        advice: "set their passwords again with password_encryption = scram-sha-256: \\password ROLE in psql",
      });
    }
    return found;
  },
};
