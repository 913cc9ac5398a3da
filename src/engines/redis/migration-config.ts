/** `CONFIG SET` in a migration file: as `init` does it, read back and written into the server's own file. */
import type { Call } from "../../call.ts";
import type { Change } from "../../migrate/port.ts";
import type { WantedSetting } from "../../migrate/settings-port.ts";
import type { Commands, SendOptions } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { compareSettings, readRisks, setAndVerify } from "./settings.ts";
import { persistSettings, waitForAppendOnlyFile } from "./settings-last.ts";

/** Sets, verifies and makes them last; says on the log when they end with the server's process, and what they did to the data. */
export async function runConfigSet(
  call: Call,
  commands: Commands,
  wanted: readonly WantedSetting[],
  options: SendOptions,
): Promise<void> {
  for (const risk of await settingRisks(call, commands, await compareSettings(call, commands, wanted))) {
    call.log("WARNING", risk);
  }
  await setAndVerify(call, commands, wanted, options);
  const appends = wanted.some(({ name, value }) => name === "appendonly" && value.toLowerCase() === "yes");
  const waiting = appends ? await waitForAppendOnlyFile(call, commands) : [];
  for (const note of [...waiting, ...(await persistSettings(call, commands))]) {
    const names = wanted.map(({ name }) => name).join(", ");
    call.log(
      note.startsWith("written to") ? "DEBUG" : "WARNING",
      `Redis at ${commands.at}: ${names}: ${note}`,
    );
  }
}

/** `maxmemory 0 → 512mb; …` and what that would do to the data. */
export async function previewConfigSet(
  call: Call,
  commands: Commands,
  wanted: readonly WantedSetting[],
): Promise<string> {
  const changes = await compareSettings(call, commands, wanted);
  if (changes.length === 0) return "is set already";
  const risks = await settingRisks(call, commands, changes);
  return [...changes.map(({ name, before, after }) => `${name} ${before} → ${after}`), ...risks].join("; ");
}

/** A user who may set but not ask for INFO is told nothing of risks. */
async function settingRisks(call: Call, commands: Commands, changes: readonly Change[]): Promise<string[]> {
  return readRisks(call, commands, changes).catch((error: unknown) => {
    if (error instanceof RedisRefusal) return [];
    throw error;
  });
}
