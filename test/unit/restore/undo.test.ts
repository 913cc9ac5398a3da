/** What going back does with each part, by what the journal and the part say of it. The parts only note what they are asked. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OpsError } from "../../../src/errors.ts";
import type { PartRecord, RestoreRecord } from "../../../src/restore/journal.ts";
import type { RestorePart } from "../../../src/restore/port.ts";
import type { RestoreTools, Subject } from "../../../src/restore/subjects.ts";
import { undoAll } from "../../../src/restore/undo.ts";
import { testCall } from "../../support/calls.ts";

let parent: string;
let asked: string[];
let states: string[];
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "opsctl-undo-"));
  asked = [];
  states = [];
});
afterEach(() => rmSync(parent, { recursive: true }));

function subject(record: Partial<PartRecord>, isTouched: boolean, lost?: OpsError): Subject {
  const name = record.name!;
  const ask = (what: string) => async () => {
    asked.push(`${name} ${what}`);
  };
  const part = {
    isTouched,
    rollback: ask("rollback"),
    abandon: ask("abandon"),
    requireWayBack: async () => {
      if (lost) throw lost;
    },
  } as Partial<RestorePart> as RestorePart;
  const whole = { engine: "redis", identity: "", source: "", kinds: [], safety: null, saved: {}, ...record };
  return { record: whole as PartRecord, part, material: {} as Subject["material"] };
}

function undo(subjects: Subject[]): Promise<void> {
  const folder = join(parent, "restore");
  mkdirSync(folder);
  const restore = { id: "1", folder, state: "swapping" } as RestoreRecord;
  const journal = {
    update: async (_: unknown, __: unknown, { state }: { state?: string }) => {
      states.push(String(state));
    },
    updatePart: async () => {},
  };
  return undoAll(testCall(), { journal } as unknown as RestoreTools, restore, subjects);
}

test("a store that was not touched keeps what was written to it since, whatever the journal was about to do", async () => {
  const parts = [
    subject({ name: "untouched", undo: "safety", state: "swapping" }, false),
    subject({ name: "prepared", undo: "empty", state: "prepared" }, false),
    subject({ name: "touched", undo: "kept", state: "swapping" }, true),
  ];
  await undo(parts);
  expect(asked).toEqual(["touched rollback", "touched abandon", "prepared abandon", "untouched abandon"]);
  expect(parts.map(({ record }) => record.state)).toEqual(["undone", "undone", "undone"]);
  expect(states).toEqual(["undoing", "undone"]);
});

test("nothing is changed when one of the ways back is gone", async () => {
  const lost = new OpsError({ code: "failed", message: "the kept database is gone" });
  const parts = [
    subject({ name: "whole", undo: "kept", state: "swapped" }, true),
    subject({ name: "lost", undo: "kept", state: "swapped" }, true, lost),
  ];
  await expect(undo(parts)).rejects.toBe(lost);
  expect([asked, states]).toEqual([[], []]);
});
