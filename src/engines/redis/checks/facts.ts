/** What the checks of Redis ask for, and the commands that mend. */
import type { Call } from "../../../call.ts";
import { type Check, type Remedy, Unknowable } from "../../../health/doctor/check.ts";
import { isLocal } from "../../../health/doctor/places.ts";
import type { EngineScope } from "../../../health/doctor/scope.ts";
import type { RedisConnection } from "../connect.ts";
import { type Info, readInfo } from "../info.ts";
import { aclHint, isForbidden, userOf } from "../permissions.ts";

export type Scope = EngineScope<RedisConnection>;
export type RedisCheck = Check<Scope>;

/** Asks; a refusal by ACL, or of a command that is renamed, is no failure. @throws Unknowable with the rule that would allow it */
export async function allowed<T>(scope: Scope, rule: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new Unknowable(error.message, aclHint(error, userOf(scope.target), rule) ?? undefined);
  }
}

/** All usual sections of INFO. @throws Unknowable */
export function infoOf(call: Call, scope: Scope): Promise<Info> {
  return allowed(scope, "+info", () => readInfo(call, scope.connection, "default"));
}

/** A figure of INFO; 0 where the server has none. */
export function amountOf(info: Info, field: string): number {
  return Number(info[field] ?? 0);
}

/** Values of settings, in the order of their names; undefined: this server has none of that name. @throws Unknowable */
export async function settingsOf(
  call: Call,
  scope: Scope,
  ...names: string[]
): Promise<(string | undefined)[]> {
  const values: (string | undefined)[] = [];
  for (const name of names) {
    // several names in one command need Redis 7
    const reply = await allowed(scope, "+config|get", () =>
      scope.connection.run(call, ["CONFIG", "GET", name], { words: 2 }),
    );
    values.push(Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : undefined);
  }
  return values;
}

/** The server runs on this host, so that its kernel is this one. @throws Unknowable */
export function requireLocal({ target, connection }: Scope): void {
  if (isLocal(target)) return;
  throw new Unknowable(`Redis at ${connection.at} runs on another host`, "run opsctl doctor there");
}

/** One command for the server. */
export function sends(statement: string, safe: boolean): Remedy {
  return { argv: ["opsctl", "query", "redis", statement, "--write"], safe };
}

/** Lets the server do again what failed, and waits for its end: a BGSAVE alone answers before it has begun. */
export function maintains(safe: boolean, ...flags: string[]): Remedy {
  return { argv: ["opsctl", "maintain", "redis", ...flags, "--yes"], safe };
}

/**
 * Sets something at once and, where the server has a file of its own, for its next start. Never safe: it stays for good, and CONFIG REWRITE
 * writes every other setting that was made at run time, perhaps for an hour, into the file with it.
 */
export function sets(info: Info, name: string, value: string): Remedy[] {
  const set = sends(`CONFIG SET ${name} ${/^[\w.-]+$/.test(value) ? value : `"${value}"`}`, false);
  return info["config_file"] ? [set, sends("CONFIG REWRITE", false)] : [set];
}

/** The file where a setting is made for good. */
export function fileOf(info: Info): string {
  return info["config_file"] || "the server's redis.conf";
}
