/** Keys by SCAN, as bytes. Without those of opsctl's own. */
import type { Call } from "../../call.ts";
import type { Command, Commands } from "./client.ts";
import { isOwnKey } from "./migration-own.ts";

export interface KeyFilter {
  /** A glob over bytes; undefined: all. */
  pattern?: Buffer;
  /** As TYPE answers. */
  type?: string | null;
}

export interface Page {
  /** Where the next page begins; `0`: this was the last. */
  cursor: string;
  keys: Buffer[];
}

/** The command that asks for a page; `count` is how many keys the server looks at. */
export function scanCommand(cursor: string, { pattern, type }: KeyFilter, count: number): Command {
  const match = pattern ? ["MATCH", pattern] : [];
  const only = type ? ["TYPE", type] : [];
  return ["SCAN", cursor, ...match, "COUNT", String(count), ...only];
}

export function readPage(reply: unknown): Page {
  const [cursor, keys] = reply as [Buffer, Buffer[]];
  return { cursor: cursor.toString("latin1"), keys: keys.filter((key) => !isOwnKey(key)) };
}

/** Every page; a key that is there all the time comes at least once. Throws OpsError only. */
export async function* scanPages(
  call: Call,
  commands: Commands,
  filter: KeyFilter,
  count: number,
): AsyncGenerator<Buffer[]> {
  let cursor = "0";
  do {
    const [reply] = await commands.batch(call, [scanCommand(cursor, filter, count)], { quotes: true });
    if (reply instanceof Error) throw reply;
    const page = readPage(reply);
    cursor = page.cursor;
    yield page.keys;
  } while (cursor !== "0");
}
