import type { EngineName } from "../../../errors.ts";
import type { Check, Found } from "../check.ts";
import { type Weakness, weaknessOf } from "../passwords.ts";
import { hostOf, isLocal, passwordOf, servers, userOf } from "../places.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";

/** How a new one is set without a password in an argument. */
const CHANGE: Readonly<Record<EngineName, string>> = {
  neo4j:
    "make one (openssl rand -hex 24), set it in cypher-shell: ALTER CURRENT USER SET PASSWORD FROM '…' TO '…'; then change the configuration of its clients",
  postgres:
    "make one (openssl rand -hex 24), set it in psql with \\password, then change the configuration of its clients",
  redis:
    "make one (openssl rand -hex 24), set requirepass in redis.conf and, in redis-cli, CONFIG SET requirepass; then change the configuration of its clients",
  sqlite: "",
};

export const securityPasswordWeak: Check<StackScope> = {
  id: "security-password-weak",
  area: "stack",
  title: "a password can be guessed",
  looks: "length of the configured passwords, and whether they are defaults, examples or the user's name",
  run: async (_call, scope) =>
    [...passwords(scope)].flatMap(([, { engine, names, value }]) => {
      const target = servers(scope).find((one) => one.engine === engine);
      const tried = target === undefined ? [] : [userOf(target), target.database ?? "", hostOf(target)];
      const weakness = weaknessOf(value, scope.thresholds.password_length, tried);
      if (weakness === undefined) return [];
      const isNear = target === undefined || isLocal(target);
      return [
        {
          severity: weakness === "well-known" && !isNear ? ("error" as const) : ("warning" as const),
          subject: `password of ${TITLES[engine]} (${names.join(", ")})`,
          evidence: evidenceOf(weakness, scope.thresholds.password_length),
          cause: isNear
            ? "whoever reaches this host, also a program of another user, can try it"
            : "whoever reaches the server over the network can try it",
          remedies: [],
          advice: CHANGE[engine],
        },
      ];
    }),
};

/** Not its length: that would help whoever guesses. */
function evidenceOf(weakness: Weakness, advised: number): string {
  if (weakness === "short") return `it has fewer than the ${advised} characters that are advised`;
  if (weakness === "pattern") return "it repeats a few characters";
  return "it is a default, an example, or the name of its user";
}

interface Password {
  engine: EngineName;
  /** The settings that hold it, with where they stand. */
  names: string[];
  value: string;
}

/** The passwords of servers, each once for an engine. */
function passwords({ secrets }: StackScope): Map<string, Password> {
  const found = new Map<string, Password>();
  for (const { name, value, source } of secrets) {
    const engine = engineOf(name);
    if (engine === undefined) continue;
    const key = `${engine} ${value}`;
    const known = found.get(key) ?? { engine, names: [], value };
    known.names.push(`${name}, ${source}`);
    found.set(key, known);
  }
  return found;
}

/** Of a setting with a password for a server; keys and addresses of other services have none. */
function engineOf(name: string): EngineName | undefined {
  if (name.includes("NEO4J")) return "neo4j";
  if (/DATABASE_URL|POSTGRES/.test(name)) return "postgres";
  return name.includes("REDIS") ? "redis" : undefined;
}

export const securityPasswordShared: Check<StackScope> = {
  id: "security-password-shared",
  area: "stack",
  title: "servers share a password",
  looks: "the configured passwords of the engines, compared",
  run: async (_call, scope) => {
    const all = [...passwords(scope).values()];
    const shared = [...Map.groupBy(all, ({ value }) => value).values()].filter(({ length }) => length > 1);
    return shared.map((group) => ({
      severity: "info" as const,
      subject: group.map(({ engine }) => TITLES[engine]).join(", "),
      evidence: `the same password in ${group.flatMap(({ names }) => names.map((name) => name.split(",")[0])).join(", ")}`,
      cause: "whoever learns the password of one server has the others, too",
      remedies: [],
      advice: "give each server a password of its own: openssl rand -hex 24",
    }));
  },
};

export const securityPasswordMissing: Check<StackScope> = {
  id: "security-password-missing",
  area: "stack",
  title: "a server on the network lets everybody in",
  looks: "servers beyond loopback that answered without a configured password",
  run: async (_call, scope) =>
    servers(scope).flatMap((target): Found[] => {
      const hasAnswered = scope.engines.some(
        ({ engine, status }) => engine === target.engine && status === "connected",
      );
      if (!hasAnswered || isLocal(target) || passwordOf(target) !== "") return [];
      // a client certificate stands for a password
      if (new URL(target.url).searchParams.has("sslcert")) return [];
      return [
        {
          severity: "error",
          subject: `${TITLES[target.engine]} at ${hostOf(target)}`,
          evidence: `it answered ${userOf(target) || "its default user"} without a password`,
          cause: "whoever reaches its port can read and delete everything",
          remedies: [],
          advice: MISSING[target.engine],
        },
      ];
    }),
};

const MISSING: Readonly<Record<EngineName, string>> = {
  neo4j: "set dbms.security.auth_enabled=true in neo4j.conf and restart it, then set a password",
  postgres:
    "replace trust by scram-sha-256 in pg_hba.conf, set a password with \\password in psql, then SELECT pg_reload_conf()",
  redis: "set requirepass in redis.conf (and in redis-cli: CONFIG SET requirepass), or bind it to 127.0.0.1",
  sqlite: "",
};

/** Who may do everything. */
const SUPERUSERS: Readonly<Record<EngineName, RegExp>> = {
  neo4j: /^neo4j$/,
  postgres: /^postgres$/,
  redis: /^(default)?$/,
  sqlite: /^$/,
};

export const securityDefaultUser: Check<StackScope> = {
  id: "security-default-user",
  area: "stack",
  title: "opsctl connects as a user that may do everything",
  looks: "the configured users: neo4j, postgres, default",
  run: async (_call, scope) =>
    servers(scope)
      .filter((target) => SUPERUSERS[target.engine].test(userOf(target)))
      .map((target) => ({
        severity: "info" as const,
        subject: `${TITLES[target.engine]} at ${hostOf(target)}`,
        evidence: `the configured user is ${userOf(target) || "default"}`,
        cause: "whoever reads the configuration of this host can do everything on the server",
        remedies: [],
        advice:
          "give programs users of their own with the rights they need; for backups: opsctl backup grants, then BACKUP_DATABASE_URL, BACKUP_REDIS_URL and BACKUP_NEO4J_URI",
      })),
};
