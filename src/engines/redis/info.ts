import type { Call } from "../../call.ts";
import type { Commands } from "./client.ts";

/** The fields of one INFO section, as text. */
export type Info = Readonly<Record<string, string | undefined>>;

/** Asks for one section: several at a time need Redis 7. Throws OpsError only. */
export async function readInfo(call: Call, commands: Commands, section: string): Promise<Info> {
  return parseInfo(String(await commands.run(call, ["INFO", section])));
}

/** Parses `field:value` lines; headings and empty lines are skipped. */
export function parseInfo(text: string): Info {
  const fields: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return fields;
}

export interface Keyspace {
  keys: number;
  /** Keys with a time to live: the only ones that a `volatile-…` policy may evict. */
  expiring: number;
}

/** Keys of all databases, from the section `keyspace` (`db0:keys=3,expires=1,avg_ttl=0`). */
export function keyspaceOf(info: Info): Keyspace {
  let keys = 0;
  let expiring = 0;
  for (const [name, value = ""] of Object.entries(info)) {
    if (!/^db\d+$/.test(name)) continue;
    keys += Number(/(?:^|,)keys=(\d+)/.exec(value)?.[1] ?? 0);
    expiring += Number(/(?:^|,)expires=(\d+)/.exec(value)?.[1] ?? 0);
  }
  return { keys, expiring };
}
