/** Which commands an operator's query may send. */
import type { Call } from "../../call.ts";
import { OpsError, usageError } from "../../errors.ts";
import type { Commands } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { keyword, type Word } from "./migration-words.ts";

/** A command as it is sent. */
export interface Line {
  /** Upper case. */
  name: string;
  /** The first argument of a command that has subcommands (`CONFIG GET`), upper case. */
  sub: string | undefined;
  args: Buffer[];
}

/** Commands whose first argument is a command of its own. */
const CONTAINERS = new Set(
  (
    "ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SENTINEL SLOWLOG " +
    "XGROUP XINFO"
  ).split(" "),
);

/** The command that words make. */
export function lineOf(words: readonly Word[]): Line {
  const [first, ...rest] = words as [Word, ...Word[]];
  const name = keyword(first);
  const sub = CONTAINERS.has(name) && rest[0] ? keyword(rest[0]) : undefined;
  return { name, sub, args: rest.map(({ bytes }) => bytes) };
}

/** Commands whose words, and the server's words about them, may be passwords. */
export function holdsSecrets(name: string): boolean {
  return name === "ACL" || name === "CONFIG" || name === "MIGRATE";
}

/** They change the connection, which ends with this one command. */
const CONNECTION =
  "ASKING AUTH DISCARD EXEC HELLO MULTI QUIT READONLY READWRITE RESET SELECT UNWATCH WATCH " +
  "CLIENT|CACHING CLIENT|NO-EVICT CLIENT|NO-TOUCH CLIENT|REPLY CLIENT|SETINFO CLIENT|SETNAME CLIENT|TRACKING SCRIPT|DEBUG";

/** Their answers never end, or are no answers of this protocol. */
const STREAMS =
  "MONITOR PSUBSCRIBE PSYNC PUNSUBSCRIBE REPLCONF SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC UNSUBSCRIBE";

/** They wait for other clients, up to for ever. */
const WAITING = "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF";

const REFUSED: ReadonlyMap<string, readonly [string, string]> = new Map([
  ...each(
    CONNECTION,
    "concerns a connection, and this one ends with the command",
    "opsctl shell redis keeps one; the database is chosen by REDIS_URL or REDIS_DB",
  ),
  ...each(STREAMS, "is answered by a stream that does not end", "opsctl shell redis shows streams"),
  ...each(WAITING, "waits for other clients", "use the form that does not wait: LPOP, LMOVE, ZPOPMIN …"),
  ...each(
    "KEYS",
    "stops the server for all others until it has looked at every key",
    "SCAN 0 MATCH pattern COUNT 1000, then again with the cursor of the answer until that is 0",
  ),
]);

function each(names: string, why: string, hint: string): [string, readonly [string, string]][] {
  return names.split(" ").map((name) => [name, [why, hint]]);
}

/** What the server does not flag as `readonly`, because it touches no key, and what changes nothing. */
const LOOKS = new Set(
  (
    "INFO PING ECHO TIME ROLE LASTSAVE DBSIZE LOLWUT COMMAND " +
    "ACL|CAT ACL|DRYRUN ACL|GENPASS ACL|GETUSER ACL|LIST ACL|USERS ACL|WHOAMI " +
    "CLIENT|GETNAME CLIENT|GETREDIR CLIENT|ID CLIENT|INFO CLIENT|LIST CLIENT|TRACKINGINFO " +
    "CLUSTER|COUNTKEYSINSLOT CLUSTER|GETKEYSINSLOT CLUSTER|INFO CLUSTER|KEYSLOT CLUSTER|LINKS CLUSTER|MYID " +
    "CLUSTER|MYSHARDID CLUSTER|NODES CLUSTER|REPLICAS CLUSTER|SHARDS CLUSTER|SLOTS " +
    "COMMAND|COUNT COMMAND|DOCS COMMAND|GETKEYS COMMAND|GETKEYSANDFLAGS COMMAND|INFO COMMAND|LIST " +
    "CONFIG|GET FUNCTION|DUMP FUNCTION|LIST FUNCTION|STATS " +
    "LATENCY|DOCTOR LATENCY|GRAPH LATENCY|HISTOGRAM LATENCY|HISTORY LATENCY|LATEST " +
    "MEMORY|DOCTOR MEMORY|MALLOC-STATS MEMORY|STATS MODULE|LIST " +
    "PUBSUB|CHANNELS PUBSUB|NUMPAT PUBSUB|NUMSUB PUBSUB|SHARDCHANNELS PUBSUB|SHARDNUMSUB " +
    "SCRIPT|EXISTS SLOWLOG|GET SLOWLOG|LEN"
  ).split(" "),
);

/**
 * Refuses what a single command cannot be, and without `write` everything that the server's own flags do not call `readonly`.
 * @throws OpsError `usage`; `auth` when the server does not tell this user its flags
 */
export async function guardCommand(
  call: Call,
  commands: Commands,
  line: Line,
  write: boolean,
): Promise<void> {
  const full = line.sub === undefined ? line.name : `${line.name}|${line.sub}`;
  const shown = full.replace("|", " ");
  const refused = REFUSED.get(full);
  if (refused) throw usageError(`${shown} ${refused[0]}`, refused[1]);
  if (/^XREAD/.test(line.name) && line.args.some((word) => /^block$/i.test(word.toString("latin1")))) {
    throw usageError(`${shown} with BLOCK waits for other clients`, "leave BLOCK out");
  }
  if (write || LOOKS.has(full) || isLook(line)) return;
  const flags = await flagsOf(call, commands, line);
  if (flags === undefined || flags.includes("readonly")) return;
  const hint = /^(EVAL|EVALSHA|FCALL)$/.test(line.name)
    ? `${line.name}_RO runs a script that only reads; else pass --write`
    : "pass --write when it shall";
  throw usageError(`${shown} may change something: the server does not call it read-only`, hint);
}

/** `ACL LOG` without RESET, and the help that every container has. */
function isLook({ name, sub, args }: Line): boolean {
  if (sub === "HELP") return true;
  return name === "ACL" && sub === "LOG" && !args.some((word) => /^reset$/i.test(word.toString("latin1")));
}

/** Undefined: the server has no such command and will say so itself. */
async function flagsOf(call: Call, commands: Commands, line: Line): Promise<string[] | undefined> {
  // before Redis 7 only the container has flags, of its most harmful subcommand
  const names = line.sub === undefined ? [line.name] : [`${line.name}|${line.sub}`, line.name];
  try {
    const reply = await commands.run(call, ["COMMAND", "INFO", ...names], { words: 2 });
    const known = (reply as unknown[]).find((entry) => Array.isArray(entry)) as unknown[] | undefined;
    return known && (known[2] as unknown[]).map(String);
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    throw new OpsError({
      code: error.code,
      engine: "redis",
      message: `whether ${line.name} changes something is not known: ${error.message}`,
      hint: "allow COMMAND INFO in the user's ACL (+command|info, before Redis 7 +command), or pass --write",
    });
  }
}
