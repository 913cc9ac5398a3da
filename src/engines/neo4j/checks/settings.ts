/** Settings that an operator misses when something goes wrong. */
import type { Found } from "../../../health/doctor/check.ts";
import type { Settings } from "../server-facts.ts";
import { type Neo4jCheck, setting, settings } from "./common.ts";

/** A check that needs nothing but the settings. */
function ofSettings(
  id: string,
  title: string,
  looks: string,
  find: (known: Settings) => Found | undefined,
): Neo4jCheck & { find: typeof find } {
  return {
    id,
    area: "neo4j",
    title,
    looks,
    find,
    async run(call, scope) {
      const found = find(await settings(call, scope));
      return found ? [found] : [];
    },
  };
}

export const transactionTimeout = ofSettings(
  "neo4j-transaction-timeout",
  "transactions may run for ever",
  "db.transaction.timeout",
  (known) => {
    const value = known.get("db.transaction.timeout");
    if (value === undefined || !/^0(ns|ms|s|m|h|d)?$/.test(value)) return undefined;
    return {
      severity: "info",
      subject: "db.transaction.timeout",
      evidence: "it is 0 s: no limit",
      cause: "a query that was forgotten holds its locks and memory until the server is restarted",
      remedies: [],
      advice: setting("db.transaction.timeout=30s"),
    };
  },
);

export const queryLog = ofSettings(
  "neo4j-query-log",
  "slow queries are not logged",
  "db.logs.query.enabled",
  (known) => {
    if (known.get("db.logs.query.enabled") !== "OFF") return undefined;
    return {
      severity: "info",
      subject: "db.logs.query.enabled",
      evidence: "it is OFF",
      cause: "after an incident nobody can say which query was slow",
      remedies: [],
      advice: setting("db.logs.query.enabled=INFO and db.logs.query.threshold=1s"),
    };
  },
);

export const readOnly = ofSettings(
  "neo4j-read-only",
  "databases refuse writes",
  "server.databases.default_to_read_only, server.databases.read_only",
  (known) => {
    const all = known.get("server.databases.default_to_read_only") === "true";
    const names = known.get("server.databases.read_only") ?? "";
    if (!all && names === "") return undefined;
    return {
      severity: "warning",
      subject: all ? "all databases" : `database ${names}`,
      evidence: all
        ? "server.databases.default_to_read_only is true"
        : `server.databases.read_only is ${names}`,
      cause: "every write is refused, those of opsctl included",
      remedies: [],
      advice: setting(all ? "server.databases.default_to_read_only=false" : "server.databases.read_only="),
    };
  },
);

export const unrestrictedProcedures = ofSettings(
  "neo4j-unrestricted-procedures",
  "every procedure may do everything",
  "dbms.security.procedures.unrestricted",
  (known) => {
    const names = (known.get("dbms.security.procedures.unrestricted") ?? "").split(",");
    if (!names.some((name) => name.trim() === "*")) return undefined;
    return {
      severity: "warning",
      subject: "dbms.security.procedures.unrestricted",
      evidence: "it is *",
      cause:
        "each plugin works with the rights of the server: whoever may call one may read and change everything",
      remedies: [],
      advice: setting(
        "dbms.security.procedures.unrestricted= with the names that need it, as in apoc.periodic.*",
      ),
    };
  },
);
