import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../../../call.ts";
import type { Check, Found } from "../check.ts";
import { type Exposure, exposuresIn } from "../exposures.ts";
import { ancestry, type HostProcess, processes, processOf } from "../processes.ts";
import type { StackScope } from "../scope.ts";

/** After this time it looks once more, ms: of a program that has ended by then there is nothing to mend. */
const AGAIN_MS = 300;
/** More would be the same program many times. */
const SHOWN = 20;

export const securityProcessPasswords: Check<StackScope> = {
  id: "security-process-passwords",
  area: "stack",
  title: "a password stands in the process list",
  looks:
    "/proc/PID/cmdline of all processes: the configured secrets, and options and URLs that take a password",
  run: async (call, scope) => {
    const exposed = (await processes(scope.root)).filter((one) => exposuresOf(one, scope).length > 0);
    if (exposed.length === 0) return [];
    const lasting = await stillThere(call, scope, exposed);
    const own = await ancestry(scope.root);
    return lasting.flatMap((one) => finding(one, exposuresOf(one, scope), own.has(one.pid))).slice(0, SHOWN);
  },
};

function exposuresOf({ args }: HostProcess, { secrets }: StackScope): Exposure[] {
  return exposuresIn(args, secrets);
}

async function stillThere(call: Call, { root }: StackScope, exposed: HostProcess[]): Promise<HostProcess[]> {
  await sleep(AGAIN_MS, undefined, { signal: call.signal }).catch(() => {});
  const again = await Promise.all(exposed.map(({ pid }) => processOf(root, pid)));
  return exposed.filter(({ args }, at) => again[at]?.args.join("\0") === args.join("\0"));
}

/**
 * The value itself is in none of the texts.
 * @param isOwn it started this command, and ends with it
 */
function finding({ pid, name }: HostProcess, exposures: readonly Exposure[], isOwn: boolean): Found[] {
  const ours = exposures.filter(({ secret }) => secret !== undefined);
  const [worst] = ours.length > 0 ? ours : exposures;
  const { secret, where } = worst!;
  return [
    {
      severity: secret && !isOwn ? "warning" : "info",
      subject: `process ${pid} (${name})`,
      evidence: secret
        ? `its command line holds the value of ${secret.name} (${secret.source}) in ${where}${isOwn ? "; it started this command" : ""}`
        : `its command line holds a password in ${where}; it is none of the configured ones`,
      cause: "every user of this host can read the command lines of all processes (ps aux)",
      remedies: [],
      advice: `${WAYS[name] ?? "give the password in a file or the environment"}; then end this process and change the password`,
    },
  ];
}

/** How these programs take a password unseen. */
const WAYS: Readonly<Record<string, string>> = {
  "redis-cli": "set REDISCLI_AUTH in the environment instead of -a, or use opsctl shell redis",
  "redis-server": "set requirepass in redis.conf (mode 0600)",
  psql: "use a password file (~/.pgpass, mode 0600) or PGPASSWORD in the environment, or opsctl shell postgres",
  pg_dump: "use a password file (~/.pgpass, mode 0600) or PGPASSWORD in the environment",
  "cypher-shell": "set NEO4J_USERNAME and NEO4J_PASSWORD in the environment, or use opsctl shell neo4j",
};
