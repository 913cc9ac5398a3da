import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Change } from "../../migrate/port.ts";
import { isRaise, readableSetting, sameSetting } from "../../migrate/redis-settings.ts";
import type { SettingsTarget, WantedSetting } from "../../migrate/settings-port.ts";
import type { Commands, SendOptions } from "./client.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";
import { persistSettings, waitForAppendOnlyFile } from "./settings-last.ts";
import { dataRisks } from "./settings-risks.ts";

/** The configuration of a Redis server: CONFIG GET, CONFIG SET, and CONFIG REWRITE where there is a file to rewrite. */
export function redisSettings(connection: RedisConnection): SettingsTarget {
  return {
    async compare(call, wanted) {
      return byHandOnRefusal(wanted, () => compareSettings(call, connection, wanted));
    },

    risks: (call, changes) => readRisks(call, connection, changes),

    async apply(call, changes) {
      const pending = inSafeOrder(changes);
      if (pending.length === 0) return [];
      while (pending.length > 0) {
        throwIfAborted(call);
        await byHandOnRefusal(pending, () => setAndVerify(call, connection, [pending[0]!]));
        pending.shift();
      }
      const startsAppending = changes.some(({ name, after }) => name === "appendonly" && after === "yes");
      const rewriting = startsAppending ? await waitForAppendOnlyFile(call, connection) : [];
      return [...rewriting, ...(await persistSettings(call, connection))];
    },
  };
}

/**
 * An order in which no step evicts what the last one would keep: a limit is raised before the policy changes and lowered
 * after it. `appendonly` comes last, because it starts a rewrite of the whole data set.
 */
export function inSafeOrder(changes: readonly Change[]): WantedSetting[] {
  const raises = changes.some(({ name, before, after }) => name === "maxmemory" && isRaise(before, after));
  const rank = (name: string) => {
    if (name === "maxmemory") return raises ? 0 : 2;
    if (name === "maxmemory-policy") return 1;
    return name === "appendonly" ? 4 : 3;
  };
  return changes
    .map(({ name, after }) => ({ name, value: after ?? "" }))
    .sort((a, b) => rank(a.name) - rank(b.name));
}

/** Settings that differ from what is wanted. @throws OpsError `failed` for a name that the server does not have */
export async function compareSettings(
  call: Call,
  commands: Commands,
  wanted: readonly WantedSetting[],
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const { name, value } of wanted) {
    const present = await configGet(call, commands, name);
    if (sameSetting(present, value)) continue;
    changes.push({ name, before: readableSetting(present, value), after: value });
  }
  return changes;
}

/** What changes of settings would do to the data that is there, one sentence each. */
export async function readRisks(
  call: Call,
  commands: Commands,
  changes: readonly Change[],
): Promise<string[]> {
  if (changes.length === 0) return [];
  const memory = await readInfo(call, commands, "memory");
  const keyspace = await readInfo(call, commands, "keyspace");
  return dataRisks({ memory, keyspace, changes });
}

/** Sets all at once and reads each back. @throws OpsError `failed` when the server answers with another value */
export async function setAndVerify(
  call: Call,
  commands: Commands,
  wanted: readonly WantedSetting[],
  options: SendOptions = {},
): Promise<void> {
  const pairs = wanted.flatMap(({ name, value }) => [name, value]);
  await commands.run(call, ["CONFIG", "SET", ...pairs], { ...options, writes: true, words: 2 });
  for (const { name, value } of wanted) {
    const present = await configGet(call, commands, name);
    // words of a list are taken and answered without regard to case
    if (sameSetting(present, value) || present.toLowerCase() === value.toLowerCase()) continue;
    throw new OpsError({
      code: "failed",
      message: `Redis at ${commands.at} accepted ${name} = ${value} but answers ${name} = ${present}`,
      hint: `write the value as the server does, or leave ${name} to its owner`,
      engine: "redis",
    });
  }
}

async function configGet(call: Call, commands: Commands, name: string): Promise<string> {
  const reply = await commands.run(call, ["CONFIG", "GET", name], { words: 2 });
  if (Array.isArray(reply) && reply.length === 2) return String(reply[1]);
  throw new RedisRefusal(
    {
      code: "failed",
      message: `Redis at ${commands.at} has no setting ${name}`,
      hint: "check the name; settings differ between versions and services",
      engine: "redis",
    },
    "ERR",
    true,
  );
}

/**
 * Runs CONFIG commands; when the server refuses them (renamed, forbidden by an ACL, a managed service) the error says
 * what is left to be set by hand.
 */
async function byHandOnRefusal<T>(left: readonly WantedSetting[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RedisRefusal) || !isForbidden(error)) throw error;
    const list = left.map(({ name, value }) => `${name} ${value}`).join(", ");
    throw new OpsError({
      code: error.code,
      message: error.message,
      hint: `set by hand, in the server's configuration or its provider's console: ${list}; then pass --skip-config`,
      engine: "redis",
    });
  }
}

/** The server will not be configured by this user, as opposed to: it does not like this value. */
function isForbidden(error: RedisRefusal): boolean {
  return (
    error.reply === "NOPERM" ||
    error.unknownCommand ||
    /immutable|protected|unsupported/i.test(error.words ?? "")
  );
}
