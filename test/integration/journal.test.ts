import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type SqliteConnection, sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteJournal } from "../../src/engines/sqlite/journal.ts";
import type { Journal, NewWrite } from "../../src/memory/journal.ts";
import { testCall } from "../support/calls.ts";

const agent = (name: string): NewWrite => ({ kind: "agent", name, server: "s", status: null, at: 1 });

describe("journal file", () => {
  const call = testCall();
  let folder: string;
  let connection: SqliteConnection;
  let journal: Journal;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "opsctl-journal-"));
    connection = sqliteConnection(join(folder, "state.db"));
    journal = sqliteJournal(connection);
  });
  afterEach(async () => {
    vi.useRealTimers();
    await connection.close();
    rmSync(folder, { recursive: true });
  });

  it("is empty, and makes no file, until something is written", async () => {
    expect(await journal.isEmpty()).toBe(true);
    expect(await journal.list(call, 10)).toEqual([]);
    expect(await journal.counts(call)).toEqual([]);
    await journal.append(call, [agent("a")], ["x"]);
    expect(await journal.isEmpty()).toBe(false);
  });

  it("gives each append a later time, also when the clock steps back and rows have left", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    const [first, second] = await journal.append(call, [agent("a"), agent("b")], ["x"]);
    expect(second!.write.order).toBe(first!.write.order);
    await journal.delivered(call, "x", [first!.seq, second!.seq]);
    vi.setSystemTime(1_700_000_000_000);
    const [third] = await journal.append(call, [agent("c")], ["x"]);
    expect(third!.write.order).toBe(1_800_000_000_001);
    expect(third!.seq).toBeGreaterThan(second!.seq);
  });

  it("keeps a write until every store has it", async () => {
    const [entry] = await journal.append(call, [agent("a")], ["x", "y"]);
    await journal.delivered(call, "x", [entry!.seq]);
    expect(await journal.waiting(call, "x", 0, 10)).toEqual([]);
    expect(await journal.waiting(call, "y", 0, 10)).toEqual([entry]);
    await journal.failed(call, "y", [entry!.seq], "why", true);
    expect(await journal.waiting(call, "y", 0, 10)).toEqual([]);
    expect(await journal.remaining(call, "y", [entry!.seq, 99])).toEqual(new Map([[entry!.seq, "rejected"]]));
    expect(await journal.entry(call, entry!.seq)).toMatchObject({
      store: "y",
      attempts: 1,
      lastError: "why",
    });
    expect(await journal.drop(call, entry!.seq)).toBe(true);
    expect(await journal.drop(call, entry!.seq)).toBe(false);
    expect(await journal.counts(call)).toEqual([]);
  });

  it("leaves to a living process what it has just written, and takes it over from a dead one", async () => {
    const [entry] = await journal.append(call, [agent("a")], ["x"]);
    const own = (pid: number) =>
      connection.database().prepare("UPDATE opsctl_journal_targets SET owner = ?").run(pid);
    expect(await journal.deliverable(call, "x", 0, 10)).toEqual([entry]);
    own(process.ppid);
    expect(await journal.deliverable(call, "x", 0, 10)).toEqual([]);
    expect(await journal.waiting(call, "x", 0, 10)).toEqual([entry]);
    // no process has this number: it is past the largest the kernel gives
    own(2 ** 22 + 1);
    expect(await journal.deliverable(call, "x", 0, 10)).toEqual([entry]);
  });

  it("hands out large writes in small batches", async () => {
    const large = { ...agent("a"), name: "x".repeat(5 * 1024 * 1024) };
    await journal.append(call, [large, large, large], ["x"]);
    const batch = await journal.waiting(call, "x", 0, 10);
    expect(batch).toHaveLength(1);
    expect(await journal.waiting(call, "x", batch[0]!.seq, 10)).toHaveLength(1);
  });

  it("moves what waits to another address", async () => {
    const [entry] = await journal.append(call, [agent("a")], ["old"]);
    await journal.readdress(call, "old", "new");
    expect(await journal.waiting(call, "new", 0, 10)).toEqual([entry]);
    expect(await journal.counts(call)).toEqual([{ store: "new", waiting: 1, rejected: 0 }]);
  });
});
