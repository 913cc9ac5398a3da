import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { allowed, fileOf, infoOf, type RedisCheck, type Scope } from "./facts.ts";
import { reachOf } from "./reach.ts";

export const noPassword: RedisCheck = {
  id: "redis-no-password",
  area: "redis",
  title: "a user needs no password",
  looks: "ACL LIST: users that are on with nopass; CONFIG GET bind, protected-mode",
  async run(call, scope) {
    const names = await openUsers(call, scope);
    if (names.length === 0) return [];
    const info = await infoOf(call, scope);
    const { bind, protectedMode, isOpen } = await reachOf(call, scope, info);
    // protected mode guards the default user alone, and only while that has no password
    const isGuarded = protectedMode && names.includes("default");
    return names.map(
      (name): Found => ({
        severity: isOpen && !isGuarded ? "error" : "warning",
        subject: `user ${name} of ${scope.connection.at}`,
        evidence: `it is on with nopass; bind "${bind}", protected-mode ${protectedMode ? "yes" : "no"}`,
        cause:
          isOpen && !isGuarded
            ? "Whoever reaches the port reads, changes and deletes everything, and can run code through the configuration."
            : "Every program on the server's host reads, changes and deletes everything.",
        remedies: [],
        advice:
          name === "default"
            ? `write requirepass and at least 20 random characters into ${fileOf(info)}, restart the server and set REDIS_PASSWORD; at once: the line CONFIG SET requirepass … on the stdin of opsctl query redis - --write`
            : `give it one through stdin, never an argument: the line ACL SETUSER ${name} resetpass >PASSWORD on the stdin of opsctl query redis - --write`,
      }),
    );
  },
};

/** Names of the users that are on and need no password. */
async function openUsers(call: Call, scope: Scope): Promise<string[]> {
  const users = await allowed(scope, "+acl|list", () =>
    scope.connection.run(call, ["ACL", "LIST"], { words: 2 }),
  );
  return (users as string[]).flatMap((line) => {
    const [, name = "", ...rules] = line.split(" ");
    return rules.includes("on") && rules.includes("nopass") ? [name] : [];
  });
}
