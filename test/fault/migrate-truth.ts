/** Whether `migrate status` says what the database itself says. */
import { expect } from "vitest";
import type { Sandbox } from "../support/cli.ts";
import type { Marked, MarkedFile, Marks, Subject } from "./migrate-subject.ts";

/** One version as `migrate status --json` shows it. */
interface Version {
  version: string;
  state: string;
  file: string;
  statement_index: number;
}

/** A statement that was under way when its runner ended. */
export interface Doubt {
  version: string;
  statement: Marked;
  /** Whether the database says that it took effect. */
  tookEffect: boolean;
}

export interface Truth {
  applied: number;
  /** Files that were broken off: one at most, as there is one runner at a time. */
  broken: number;
  doubt: Doubt | undefined;
}

/** Compares the status with the marks in the database, statement by statement. Fails the test when they disagree. */
export async function checkTruth(box: Sandbox, subject: Subject): Promise<Truth> {
  await subject.settle();
  const args = ["migrate", "status", ...subject.target];
  const { engines } = await box.json("migrate status", args, { env: subject.env });
  const versions = engines[0].migrations as Version[];
  expect(versions.map(({ version }) => version)).toEqual(subject.files.map(({ version }) => version));
  const doubts: Omit<Doubt, "tookEffect">[] = [];
  const expected = new Map<string, number>();
  for (const [index, version] of versions.entries()) {
    const next = replay(expected, subject.files[index]!, version);
    if (next) doubts.push({ version: version.version, statement: next });
  }
  expect(doubts.length).toBeLessThanOrEqual(1);
  const [doubt] = doubts;
  const tookEffect = compare(expected, await subject.marks(), doubt?.statement);
  return {
    applied: versions.filter(({ state }) => state === "applied").length,
    broken: versions.filter(({ state }) => state === "running" || state === "failed").length,
    doubt: doubt && { ...doubt, tookEffect },
  };
}

/** Adds what a version has done by its state; returns the statement that is in doubt. */
function replay(marks: Map<string, number>, { up, down }: MarkedFile, version: Version): Marked | undefined {
  const { state, file, statement_index: done } = version;
  if (state === "pending") return undefined;
  const isWhole = state === "applied" || state === "reverted";
  const isDown = state === "reverted" || (!isWhole && file.includes("-down."));
  for (const statement of isDown || isWhole ? up : up.slice(0, done)) execute(marks, statement);
  if (isDown) for (const statement of isWhole ? down : down.slice(0, done)) execute(marks, statement);
  if (state !== "running") return undefined;
  return (isDown ? down : up)[done];
}

function execute(marks: Map<string, number>, { adds, removes }: Marked): void {
  if (adds !== undefined) marks.set(adds, (marks.get(adds) ?? 0) + 1);
  if (removes !== undefined) marks.delete(removes);
}

/** Whether the statement in doubt took effect. Fails the test when neither answer gives what is there. */
function compare(expected: Map<string, number>, found: Marks, doubt: Marked | undefined): boolean {
  if (!doubt) {
    expect(sorted(found)).toEqual(sorted(expected));
    return false;
  }
  const actual = new Map(found);
  if (doubt.partial !== undefined) actual.delete(doubt.partial);
  const done = new Map(expected);
  execute(done, doubt);
  if (JSON.stringify(sorted(actual)) === JSON.stringify(sorted(done))) return true;
  expect(sorted(actual)).toEqual(sorted(expected));
  return false;
}

function sorted(marks: Marks): [string, number][] {
  return [...marks].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** All files are applied (or all rolled back), and every statement has run exactly once. */
export async function checkWhole(
  box: Sandbox,
  subject: Subject,
  state: "applied" | "reverted" = "applied",
): Promise<void> {
  const truth = await checkTruth(box, subject);
  const applied = state === "applied" ? subject.files.length : 0;
  expect(truth).toEqual({ applied, broken: 0, doubt: undefined });
}
