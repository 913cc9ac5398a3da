/** Writers that hammer an engine, and what a backup must hold of what they were told is stored. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Metadata } from "../../src/backup/metadata.ts";
import type { EngineName } from "../../src/errors.ts";
import { askDump, askRdb, sqlite3, type Unpacked } from "../support/backup.ts";
import { type Sandbox, until } from "../support/cli.ts";

export const WRITTEN = "CREATE TABLE written (writer text, number bigint)";
export const ROWS = "SELECT writer, number FROM written";

interface Acknowledged {
  number: number;
  /** Milliseconds since 1970, after the answer came. */
  at: number;
}

export interface Written {
  writer: string;
  number: number;
}

let started = 0;

export interface Writers {
  engine: EngineName;
  /** Ends them. @returns what each was told is stored, in its order */
  stop(): Promise<Map<string, Acknowledged[]>>;
}

/** Starts so many writers and waits until each is at work. */
export async function startWriters(
  box: Sandbox,
  engine: EngineName,
  target: string,
  count = 2,
): Promise<Writers> {
  const running = Array.from({ length: count }, () => {
    started += 1;
    const name = `${engine}-${started}`;
    const log = join(box.dir, `${name}.log`);
    const descriptor = openSync(log, "w");
    const script = join(import.meta.dirname, "backup-writer.ts");
    const { PATH = "" } = process.env;
    const child = spawn(process.execPath, [script, engine, name], {
      stdio: ["ignore", descriptor, "inherit"],
      env: { PATH, WRITER_TARGET: target },
    });
    closeSync(descriptor);
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    return { name, log, child, ended };
  });
  const stop = async () => {
    for (const { child } of running) child.kill("SIGTERM");
    await Promise.all(running.map(({ ended }) => ended));
    return new Map(running.map(({ name, log }) => [name, read(log)]));
  };
  try {
    await until(`the writers of ${engine} are at work`, () =>
      running.every(({ log }) => read(log).length > 10),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { engine, stop };
}

/** Whole lines only: the last may be cut. */
function read(log: string): Acknowledged[] {
  const lines = readFileSync(log, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const [number, at] = line.split(" ").map(Number);
    return { number: number!, at: at! };
  });
}

/**
 * Compares what a part holds with what its writers were told: everything that was acknowledged before the part's snapshot is there, and
 * without a gap (each writer writes the next number when it knows that the last one is stored).
 */
export function checkWritten(
  metadata: Metadata,
  engine: EngineName,
  found: readonly Written[],
  acknowledged: Map<string, Acknowledged[]>,
): void {
  const part = metadata.parts.find((known) => known.engine === engine && known.snapshot_at !== null)!;
  const snapshotAt = Date.parse(part.snapshot_at!);
  let after = 0;
  for (const [writer, acks] of acknowledged) {
    const there = found.filter((row) => row.writer === writer).map(({ number }) => number);
    const missing = acks.filter(({ number, at }) => at < snapshotAt && !there.includes(number));
    expect(missing, `${writer}: acknowledged before ${part.snapshot_at} and not there`).toEqual([]);
    after += acks.at(-1)!.number - there.length;
    if (part.consistency !== "consistent") continue;
    expect(
      there.toSorted((a, b) => a - b),
      `${writer}: a gap`,
    ).toEqual(Array.from(there, (_, n) => n + 1));
  }
  // of two that wait for one lock, one may have starved
  expect(after, "writes after the snapshot").toBeGreaterThan(0);
}

/** What a set holds of its writers, as the engines' own programs read it. */
export const READERS: Readonly<Record<EngineName, (set: Unpacked, box: Sandbox) => Promise<Written[]>>> = {
  async postgres(set) {
    const rows = await askDump(set.find(/\.dump$/), ROWS);
    return rows.map(({ writer, number }) => ({ writer: String(writer), number: Number(number) }));
  },
  async sqlite(set) {
    const file = set.find(/\.db$/);
    expect(await sqlite3(file, "PRAGMA integrity_check")).toEqual(["ok"]);
    return (await sqlite3(file, ROWS)).map((line) => {
      const [writer, number] = line.split("|");
      return { writer: writer!, number: Number(number) };
    });
  },
  redis: (set, box) =>
    askRdb(set.find(/\.rdb$/), box, async (client) => {
      const keys = await client.keys("written:*");
      const lists = await Promise.all(keys.map((key) => client.lrange(key, 0, -1)));
      return keys.flatMap((key, n) =>
        lists[n]!.map((number) => ({ writer: key.slice("written:".length), number: Number(number) })),
      );
    }),
  async neo4j(set) {
    const lines = readFileSync(set.find(/\.ndjson$/), "utf8").split("\n");
    return lines
      .filter((line) => line.includes('"Written"') && line.includes('"writer"'))
      .map((line) => JSON.parse(line).properties)
      .map(({ writer, number }) => ({ writer: String(writer), number: Number(number) }));
  },
};
