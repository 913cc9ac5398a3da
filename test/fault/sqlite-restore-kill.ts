/** Restores into a live SQLite file that are killed at random points, while another program reads and writes it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { RestoreFolder } from "../integration/sqlite-restore-kit.ts";
import { collect, until } from "../support/cli.ts";

const RUNNER = join(import.meta.dirname, "sqlite-restore-runner.ts");
const CONTENTS = ["a", "b"] as const;

export interface KillTally {
  /** What the file held after each kill. */
  old: number;
  new: number;
  /** Killed with a journal, or a log, beside the file. */
  inTheMiddle: number;
  reads: number;
  writes: number;
}

/**
 * @param kills with a log, and as many with a rollback journal
 * @param rows of about 1 kB
 * @throws the assertion of the first kill after which the file is neither old nor new, or lost what was acknowledged
 */
export async function killRestores(kills: number, rows: number, random: () => number): Promise<KillTally> {
  const tally: KillTally = { old: 0, new: 0, inTheMiddle: 0, reads: 0, writes: 0 };
  for (const journalMode of ["WAL", "DELETE"]) {
    const files = new RestoreFolder();
    try {
      for (const content of CONTENTS)
        files.fill(stagedOf(files, content), content, rows, `PRAGMA journal_mode = ${journalMode}`);
      files.fill(files.live, "a", rows, `PRAGMA journal_mode = ${journalMode}`);
      const takesMs = await timed(files);
      for (let kill = 0; kill < kills; kill += 1) await killOne(files, rows, random() * takesMs * 1.1, tally);
    } finally {
      files.remove();
    }
  }
  return tally;
}

const stagedOf = (files: RestoreFolder, content: string) => join(files.root, "set", `${content}.db`);

function start(files: RestoreFolder, content: string): { child: ChildProcess; begun: Promise<void> } {
  const child = spawn(process.execPath, [RUNNER, files.live, stagedOf(files, content)]);
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const begun = until("the restore begins", () => said.includes("begun") || hasEnded());
  return { child, begun };
}

/** How long a whole restore takes from its beginning to the end of the process, ms. */
async function timed(files: RestoreFolder): Promise<number> {
  const { child, begun } = start(files, "a");
  const ended = collect(child);
  await begun;
  const startedAt = performance.now();
  const { code, stderr } = await ended;
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return performance.now() - startedAt;
}

/** A restore that may write no more than `kib` to any file. */
export async function fillDisk(journalMode: string, rows: number, kib: number): Promise<void> {
  const files = new RestoreFolder();
  try {
    files.fill(stagedOf(files, "b"), "b", rows);
    files.fill(files.live, "a", 10, `PRAGMA journal_mode = ${journalMode}`);
    const command = [process.execPath, RUNNER, files.live, stagedOf(files, "b")];
    const { code, stderr } = await collect(
      spawn("bash", ["-c", `ulimit -f ${kib}; exec "$@"`, "bash", ...command]),
    );
    expect(stderr).toMatch(
      /app\.db (cannot be read or written \(I\/O error\)|cannot grow: the disk is full)/,
    );
    expect(code).toBe(1);
    expect(stateOf(files.live)).toEqual({ integrity: "ok", content: "a", rows: 10, lines: 0 });
  } finally {
    files.remove();
  }
}

async function killOne(files: RestoreFolder, rows: number, afterMs: number, tally: KillTally): Promise<void> {
  const before = stateOf(files.live);
  const wanted = CONTENTS.find((content) => content !== before.content)!;
  const program = new Program(files.live, before.lines, rows);
  const { child, begun } = start(files, wanted);
  const ended = collect(child);
  await begun;
  const working = program.workUntil(ended);
  await delay(afterMs);
  child.kill("SIGKILL");
  await ended;
  if (existsSync(`${files.live}-journal`) || existsSync(`${files.live}-wal`)) tally.inTheMiddle += 1;
  await working;
  program.close();
  const after = stateOf(files.live);
  expect(after).toMatchObject({ integrity: "ok", rows });
  // every line that was acknowledged in this content is there, and no other
  expect(after.lines).toBe(program.lines(after.content));
  tally[after.content === wanted ? "new" : "old"] += 1;
  tally.reads += program.reads;
  tally.writes += program.writes;
}

function stateOf(path: string): { integrity: string; content: string; rows: number; lines: number } {
  const database = new Database(path, { timeout: 5_000 });
  try {
    const ask = (query: string) => database.prepare<[], string | number>(query).pluck().all();
    const contents = ask("SELECT DISTINCT content FROM t");
    expect(contents).toHaveLength(1);
    return {
      integrity: ask("PRAGMA integrity_check").join(),
      content: String(contents[0]),
      rows: Number(ask("SELECT count(*) FROM t")[0]),
      lines: Number(ask("SELECT count(*) FROM log")[0]),
    };
  } finally {
    database.close();
  }
}

/** A program that has the file open all the time. */
class Program {
  reads = 0;
  writes = 0;
  readonly #database: Database.Database;
  readonly #rows: number;
  /** Lines by content. A file of the set has none. */
  readonly #lines = new Map<string, number>();

  constructor(path: string, lines: number, rows: number) {
    this.#database = new Database(path, { timeout: 0 });
    this.#rows = rows;
    this.#lines.set(stateOf(path).content, lines);
  }

  lines(content: string): number {
    return this.#lines.get(content) ?? 0;
  }

  async workUntil(ended: Promise<unknown>): Promise<void> {
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    while (!isOver) {
      this.#unlessBusy(() => this.#read());
      this.#unlessBusy(() => this.#write());
      await delay(4);
    }
  }

  close(): void {
    this.#database.close();
  }

  #read(): void {
    const seen = this.#database.prepare("SELECT content, count(*) AS count FROM t GROUP BY content").all();
    expect(seen).toEqual([{ content: expect.stringMatching(/^[ab]$/), count: this.#rows }]);
    this.reads += 1;
  }

  #write(): void {
    const content = this.#database
      .transaction(() => {
        this.#database.prepare("INSERT INTO log VALUES ('line')").run();
        return this.#database.prepare<[], string>("SELECT content FROM t LIMIT 1").pluck().get()!;
      })
      .immediate();
    this.#lines.set(content, this.lines(content) + 1);
    this.writes += 1;
  }

  #unlessBusy(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!/^SQLITE_BUSY/.test(String((error as { code?: unknown }).code))) throw error;
    }
  }
}
