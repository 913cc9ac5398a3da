import { existsSync } from "node:fs";
import type { Context } from "./command.ts";

/**
 * Servers are configured, but the embedded file still holds records that no command shows any more: says so on stderr, with the way
 * out. Asked for by `init` and `stats`, where one looks around, not by every command.
 */
export async function noteLeftover({ app, call, io }: Context): Promise<void> {
  if (!app.stores().usesServers || !existsSync(app.dataFile)) return;
  const { records } = await (await app.embedded(call)).counts(call);
  if (records === 0) return;
  io.note(
    `note: the embedded file ${app.dataFile} still holds ${records} records; they are not shown while servers are configured. ` +
      "To move them: `opsctl fixes export > events.ndjson` without the servers' variables, then `opsctl fixes import events.ndjson`",
  );
}
