/** After a load: the restored data must be what the server has after a crash, too. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Commands } from "./client.ts";
import { type Info, readInfo } from "./info.ts";
import { readSettings } from "./restore-settings.ts";
import { waitForAppendOnlyFile } from "./settings-last.ts";

const POLL_MS = 50;
/** As long as the call has. */
const LONGEST_MS = 7 * 24 * 3_600_000;

/**
 * Waits for the append-only file to be written anew, or has a snapshot written where the server keeps those.
 * @returns notes: what would be lost, where that fails
 * @throws OpsError for a server that is gone
 */
export async function makeLast(call: Call, commands: Commands): Promise<string[]> {
  const info = await readInfo(call, commands, "persistence");
  try {
    if (info["aof_enabled"] === "1") return await waitForAppendOnlyFile(call, commands, LONGEST_MS);
    const save = (await readSettings(call, commands, ["save"])).get("save");
    if (save === "")
      return [
        'the server keeps nothing over a restart (appendonly no, save ""), and so will the restored data not last',
      ];
    await snapshot(call, commands, info);
    return [];
  } catch (error) {
    if (!(error instanceof OpsError) || error.code === "unreachable" || call.signal.aborted) throw error;
    return [`a restart of the server may bring back what was there before: ${error.message}`];
  }
}

async function snapshot(call: Call, commands: Commands, before: Info): Promise<void> {
  let info = before;
  // one that began earlier has the data of before
  while (isSaving(info)) info = await next(call, commands);
  await commands.run(call, ["BGSAVE"]);
  do info = await next(call, commands);
  while (isSaving(info));
  if (info["rdb_last_bgsave_status"] === "ok") return;
  throw new OpsError({
    code: "failed",
    message: `Redis at ${commands.at} could not write its snapshot`,
    hint: "look for the reason in the server's log: space and permissions of its data folder",
    engine: "redis",
  });
}

function isSaving(info: Info): boolean {
  return info["rdb_bgsave_in_progress"] === "1";
}

async function next(call: Call, commands: Commands): Promise<Info> {
  await sleep(POLL_MS);
  call.progress({ label: "redis", done: 0, unit: "keys" });
  return readInfo(call, commands, "persistence");
}
