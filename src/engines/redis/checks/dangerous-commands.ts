import { Unknowable } from "../../../health/doctor/check.ts";
import { RedisRefusal } from "../errors.ts";
import { userOf } from "../permissions.ts";
import { allowed, infoOf, type RedisCheck, sends, settingsOf } from "./facts.ts";
import { reachOf } from "./reach.ts";

/** What deletes all at once, or stops the server for all others. CONFIG stays: `opsctl init` needs it. */
const COMMANDS = [["FLUSHALL"], ["FLUSHDB"], ["KEYS", "*"]] as const;

export const dangerousCommands: RedisCheck = {
  id: "redis-dangerous-commands",
  area: "redis",
  title: "commands that delete everything are open",
  looks: "ACL DRYRUN of FLUSHALL, FLUSHDB and KEYS for the configured user",
  async run(call, scope) {
    const { connection } = scope;
    const user = userOf(scope.target);
    const open: string[] = [];
    for (const command of COMMANDS) {
      const answer = await allowed(scope, "+acl|dryrun", () =>
        connection
          .run(call, ["ACL", "DRYRUN", user, ...command], { words: 2, quotes: true })
          .catch((error) => {
            if (error instanceof RedisRefusal && /not found/i.test(error.words ?? "")) return "renamed";
            if (error instanceof RedisRefusal && error.unknownCommand) {
              throw new Unknowable(`Redis at ${connection.at} has no ACL DRYRUN: it came with Redis 7`);
            }
            throw error;
          }),
      );
      if (answer === "OK") open.push(command[0]);
    }
    if (open.length === 0) return [];
    const info = await infoOf(call, scope);
    const { isOpen, isContained } = await reachOf(call, scope, info);
    const [aclFile] = await settingsOf(call, scope, "aclfile").catch(() => []);
    const keep = aclFile ? "ACL SAVE" : info["config_file"] ? "CONFIG REWRITE" : undefined;
    const rules = open.map((name) => `-${name.toLowerCase()}`).join(" ");
    return [
      {
        severity: isOpen && !isContained ? "warning" : "info",
        subject: `user ${user} of ${connection.at}`,
        evidence: `it may run ${open.join(", ")}`,
        cause: "One mistyped command, or one program that was taken over, empties or stops the server.",
        remedies: [`ACL SETUSER ${user} ${rules}`, keep].flatMap((one) => (one ? [sends(one, false)] : [])),
        advice: `restores of opsctl need FLUSHALL: give them a user of their own. Before Redis 6: rename-command FLUSHALL "" in the server's file`,
      },
    ];
  },
};
