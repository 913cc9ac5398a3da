/** Passwords in command lines. */
import { basename } from "node:path";
import type { KnownSecret } from "./scope.ts";

export interface Exposure {
  /** The configured secret that it is; undefined: somebody else's. */
  secret?: KnownSecret;
  /** Where in the command line, without its value: `-a`, `--password`, `PGPASSWORD=`, `a URL`. */
  where: string;
}

/** Options that take a password, by program. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  "redis-cli": ["-a", "--pass"],
  "valkey-cli": ["-a", "--pass"],
  "redis-benchmark": ["-a"],
  "redis-server": ["--requirepass", "--masterauth"],
  "valkey-server": ["--requirepass", "--masterauth"],
  "cypher-shell": ["-p", "--password"],
  "neo4j-admin": ["set-initial-password"],
};
const ANY_PROGRAM = /^--(?:db-?|redis-?|neo4j-?|postgres-?|pg-?)?(?:password|passwd)(?:=(.*))?$/i;
const ASSIGNED = /^(PGPASSWORD|REDISCLI_AUTH|(?:POSTGRES|NEO4J|REDIS)_PASSWORD|NEO4J_AUTH)=(.+)$/;
const IN_URL = /\b(?:postgres(?:ql)?|redis|rediss|bolt|neo4j)(?:\+s(?:sc)?)?:\/\/[^\s:/@]*:([^\s/@]+)@/gi;
/** Shorter ones occur in other words. */
const UNMISTAKABLE_CHARS = 12;

/** What a command line gives away; one for each place. */
export function exposuresIn(args: readonly string[], secrets: readonly KnownSecret[]): Exposure[] {
  // a shell's `-c` holds a whole command line in one argument
  const words = args.flatMap((arg) => arg.split(/\s+/)).filter((word) => word !== "");
  const found: Exposure[] = [];
  const add = (where: string, value: string | undefined) => {
    const clean = value?.replace(/^["']|["']$/g, "");
    // what a shell has yet to put in is no secret
    if (!clean || /^\$|^\*+$|^-/.test(clean)) return;
    found.push({ where, secret: secrets.find((one) => matches(one, clean)) });
  };
  let options: readonly string[] = [];
  words.forEach((word, at) => {
    options = OPTIONS[basename(word)] ?? options;
    const [, long] = ANY_PROGRAM.exec(word) ?? [];
    const [, variable, assigned] = ASSIGNED.exec(word) ?? [];
    if (options.includes(word)) add(word, words[at + 1]);
    else if (ANY_PROGRAM.test(word)) add(word.split("=")[0]!, long ?? words[at + 1]);
    else if (variable !== undefined) add(`${variable}=`, assigned);
    else for (const [, value] of word.matchAll(IN_URL)) add("a URL", value);
  });
  const line = args.join(" ");
  for (const secret of secrets) {
    if (found.some((one) => one.secret?.value === secret.value)) continue;
    if (secret.value.length >= UNMISTAKABLE_CHARS && forms(secret).some((form) => line.includes(form))) {
      found.push({ where: "an argument", secret });
    }
  }
  return found;
}

function matches(secret: KnownSecret, text: string): boolean {
  return forms(secret).some((form) => text === form || text.endsWith(`/${form}`));
}

/** As written, and as a URL has it. */
function forms({ value }: KnownSecret): string[] {
  return [value, encodeURIComponent(value)];
}
