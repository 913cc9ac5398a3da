/** Users who may not do everything. */
import type { Target } from "../../config/targets.ts";
import { RedisRefusal } from "./errors.ts";

/** The ACL user that a target connects as. */
export function userOf(target: Target): string {
  return decodeURIComponent(new URL(target.url).username) || "default";
}

/** What an administrator does so that the user may: `ACL SETUSER monitor +config|get`; null: the command is not there for anybody. */
export function aclHint(refusal: RedisRefusal, user: string, rule: string): string | null {
  return refusal.unknownCommand ? null : `an administrator allows it: ACL SETUSER ${user} ${rule}`;
}

/** The server will not do this for this user at all: an ACL, or a command that is renamed or disabled. */
export function isForbidden(error: unknown): error is RedisRefusal {
  return error instanceof RedisRefusal && (error.reply === "NOPERM" || error.unknownCommand);
}
