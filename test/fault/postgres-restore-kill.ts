/** Restores of PostgreSQL that are killed at a random instant: the live data are the old ones or the new ones, and another process finishes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { nameOf, RestoreKit } from "../integration/postgres-restore-kit.ts";
import { askPostgres } from "../support/backup.ts";
import { postgresDatabase } from "../support/servers.ts";
import { type RunnerOrder, readSaved, runSteps } from "./postgres-restore-runner.ts";

const CONTENT = `CREATE TABLE t (id int PRIMARY KEY, text text); INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 2000) n;
  CREATE TABLE mark (at text); INSERT INTO mark VALUES ('backup');`;
const RUNNER = join(import.meta.dirname, "postgres-restore-runner.ts");

/** What came of a run. */
export interface Outcomes {
  /** Ended before it was killed. */
  finished: number;
  /** Killed, with the old data live. */
  old: number;
  /** Killed, with the new data live. */
  swapped: number;
}

/**
 * @param random from 0 to below 1
 * @throws when live data are neither the old nor the new ones, cannot be reached, or something is left behind
 */
export async function killRestores(rounds: number, random: () => number): Promise<Outcomes> {
  const kit = new RestoreKit();
  const folder = mkdtempSync(join(tmpdir(), "opsctl-restore-kill-"));
  const database = await postgresDatabase();
  const outcomes: Outcomes = { finished: 0, old: 0, swapped: 0 };
  try {
    await askPostgres(database.url, CONTENT);
    const { order } = await kit.backup(database.url, ["postgres-custom"]);
    for (let round = 0; round < rounds; round++) {
      await askPostgres(database.url, `UPDATE mark SET at = 'live ${round}'; DELETE FROM t WHERE id % 2 = 0`);
      const run: RunnerOrder = {
        id: round.toString(16).padStart(8, "0"),
        url: database.url,
        name: nameOf(database.url),
        files: order.files,
        expected: order.expected as RunnerOrder["expected"],
        steps: ["prepare", "swap", "verify"],
        journal: join(folder, `journal-${round}`),
        work: folder,
      };
      writeFileSync(run.journal, "{}");
      // every other round aims at the swap: it is short, and at the end
      const isKilled = await runAndKill(run, folder, round % 2 === 0 ? 3_000 * random() : -250 * random());
      const isReady = readSaved(run.journal)["ready"] === true;
      // as `--abort` and `--resume` choose
      if (random() < 0.5) await undo(run, isReady);
      else await runSteps({ ...run, steps: isReady ? ["swap", "verify"] : ["prepare", "swap", "verify"] });
      const [found] = await askPostgres(
        database.url,
        "SELECT at, (SELECT count(*)::int FROM t) AS rows FROM mark",
      );
      const isNew = found!["at"] === "backup";
      expect(found).toEqual(
        isNew ? { at: "backup", rows: 2_000 } : { at: `live ${round}`, rows: found!["rows"] },
      );
      if (!isNew) expect(found!["rows"]).toBeLessThan(2_000);
      if (isNew) await runSteps({ ...run, steps: ["forget"] });
      expect(await kit.beside(run.id)).toEqual([]);
      outcomes[isKilled ? (isNew ? "swapped" : "old") : "finished"]++;
      await askPostgres(
        database.url,
        "INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 2000) n ON CONFLICT DO NOTHING",
      );
    }
    return outcomes;
  } finally {
    await kit.stop();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function undo(run: RunnerOrder, isReady: boolean): Promise<void> {
  await runSteps({ ...run, steps: isReady ? ["rollback", "abandon"] : ["abandon"] });
}

/**
 * @param afterMs negative: from when it has prepared
 * @returns whether it was killed
 */
async function runAndKill(run: RunnerOrder, folder: string, afterMs: number): Promise<boolean> {
  const file = join(folder, "order.json");
  writeFileSync(file, JSON.stringify(run));
  const child = spawn(process.execPath, [RUNNER, file], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const isOver = ended.then(() => true);
  if (afterMs < 0) await Promise.race([once(child.stdout, "data"), isOver]);
  if (!(await Promise.race([isOver, delay(Math.abs(afterMs), false)]))) child.kill("SIGKILL");
  const [code, signal] = (await ended) as [number | null, string | null];
  expect(signal ?? code).toBe(signal === null ? 0 : "SIGKILL");
  return signal !== null;
}
