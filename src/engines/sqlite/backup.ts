/** A SQLite file as a part of a backup: one moment of it, copied with SQLite's own backup API and checked. */
import { randomInt } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat, truncate } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BackupPart, type FileWriter, fileName } from "../../backup/port.ts";
import { type Call, createCall, throwIfAborted } from "../../call.ts";
import type { Found } from "./backup-check.ts";
import { type Thread, useThread } from "./backup-thread.ts";
import type { StopFlag } from "./backup-worker.ts";
import type { FilePlace } from "./open.ts";

const CHUNK_BYTES = 256 * 1024;
/** How long a file may be locked: the snapshots of the other parts wait, too. */
const LOCK_WAIT_MS = 10_000;
/** For letting go of the source when the run is over. */
const CLOSE_MS = 5_000;

/** The one part that a SQLite file is. */
export function sqliteBackup({ path }: FilePlace, name = basename(path)): BackupPart[] {
  const id = randomInt(2 ** 47);
  const stop: StopFlag = new Int32Array(new SharedArrayBuffer(4));
  let thread: Thread | undefined;
  // a locked file must not take all the time that the others have, too
  const waitMs = (call: Call) => Math.min(LOCK_WAIT_MS, call.remainingMs() / 2);
  return [
    {
      engine: "sqlite",
      name,
      source: path,
      isSlowToPrepare: false,
      async open(call) {
        thread = useThread("copying");
        const { bytes, libraryVersion, notes } = await thread.ask(
          call,
          `opening ${name}`,
          "open",
          id,
          path,
          waitMs(call),
          stop,
        );
        return {
          server_version: null,
          tools: [{ name: "sqlite", version: libraryVersion }],
          estimate_bytes: bytes,
          scratch_bytes: bytes,
          notes,
        };
      },
      prepare: (call) => thread!.ask(call, `waiting for ${name}`, "pin", id, waitMs(call)),
      async copy(call, out) {
        const copy = join(out.scratch, "copy.db");
        await thread!.ask(call, `copying ${name}`, "copy", id, copy);
        const { notes, counts, breakdown } = await checkWhile(call, copy, path, async (signal) => {
          const writer = await out.file(`sqlite/${fileName(name)}`, "sqlite-database");
          await sendFile(copy, writer, signal);
        });
        return { consistency: "consistent", reason: null, counts, breakdown, notes };
      },
      async close() {
        Atomics.store(stop, 0, 1);
        // the part's own call may be over
        const call = createCall({ actor: "", signal: AbortSignal.timeout(CLOSE_MS) });
        await thread?.ask(call, `closing ${name}`, "close", id).catch(() => {});
        thread?.release();
        thread = undefined;
      },
    },
  ];
}

/**
 * Checks a copy in the other thread while `work` reads it here. When either fails, or the call ends, the other one ends, too.
 * @param source which file it is a copy of
 * @throws OpsError `integrity`; what `work` throws
 */
export async function checkWhile(
  call: Call,
  copy: string,
  source: string,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<Found> {
  const thread = useThread("checking");
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  const label = `checking ${basename(source)}`;
  const both = [thread.ask({ ...call, signal }, label, "check", copy, source), work(signal)] as const;
  try {
    const [found] = await Promise.all(both);
    return found;
  } catch (error) {
    over.abort(error);
    // nothing interrupts SQLite in a check but the end of the file under it
    await truncate(copy).catch(() => {});
    await Promise.allSettled(both);
    throwIfAborted(call);
    throw error;
  } finally {
    thread.release();
  }
}

async function sendFile(path: string, writer: FileWriter, signal: AbortSignal): Promise<void> {
  const { size } = await stat(path);
  let sent = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
    await writer.write(chunk as Buffer);
    sent += (chunk as Buffer).length;
  }
  if (sent !== size) throw new Error(`${path}: ${sent} of ${size} bytes were read`);
  await writer.end();
}
