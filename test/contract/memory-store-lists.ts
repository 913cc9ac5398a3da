import { expect, it } from "vitest";
import { recordId } from "../../src/memory/ids.ts";
import type { EventCursor, Page, PreparedWrite, RecordFilter } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";
import { PAGE, remember, type UnderTest } from "./memory-store.ts";

/** Records and events: filters, order, pages. */
export function listsContract(under: UnderTest): void {
  const call = testCall(300_000);
  const apply = (...writes: PreparedWrite[]) => under.store.apply(call, writes);
  const keys = async (filter: RecordFilter = {}, page: Page = PAGE) =>
    (await under.store.records(call, filter, page)).map((record) => record.key);

  it("lists records newest first, with limit and offset", async () => {
    for (const n of [3, 1, 2])
      await apply(remember({ key: `issue:k${n}`, content: "x", eventId: `e${n}`, at: n * 10 }));
    await apply(remember({ key: "issue:k1", content: "x", eventId: "z", at: 99 }));
    expect(await keys()).toEqual(["issue:k1", "issue:k3", "issue:k2"]);
    expect(await keys({}, { limit: 1, offset: 1 })).toEqual(["issue:k3"]);
    expect(await keys({}, { limit: 5, offset: 3 })).toEqual([]);
  });

  it("breaks ties of time by the event id, in byte order", async () => {
    for (const id of ["b", "B", "_", "a"])
      await apply(remember({ key: `issue:${id}`, content: "x", eventId: id, at: 5 }));
    expect(await keys()).toEqual(["issue:b", "issue:a", "issue:_", "issue:B"]);
  });

  it("filters records by their latest event, their issue and their agents", async () => {
    await apply(
      remember({
        key: "issue:Connection-Timeout",
        content: "x",
        eventId: "1",
        at: 10,
        success: false,
        agent: "a1",
      }),
      remember({
        key: "issue:Connection-Timeout",
        content: "x",
        eventId: "2",
        at: 20,
        success: true,
        agent: "a2",
      }),
      remember({ key: "issue:reconnection", content: "y", eventId: "3", at: 30, success: false }),
      remember({ key: "runbook:connection", content: "z", eventId: "4", at: 40 }),
    );
    expect(await keys({ since: 20 })).toEqual([
      "runbook:connection",
      "issue:reconnection",
      "issue:Connection-Timeout",
    ]);
    expect(await keys({ since: 31 })).toEqual(["runbook:connection"]);
    expect(await keys({ success: true })).toEqual(["issue:Connection-Timeout"]);
    expect(await keys({ success: false })).toEqual(["issue:reconnection"]);
    expect(await keys({ issue: "connection" })).toHaveLength(3);
    expect(await keys({ issue: "connection-t" })).toEqual(["issue:Connection-Timeout"]);
    expect(await keys({ issue: "issue" })).toEqual([]);
    expect(await keys({ issue: "%" })).toEqual([]);
    expect(await keys({ agent: "a1" })).toEqual(["issue:Connection-Timeout"]);
    expect(await keys({ agent: "a1", success: false })).toEqual([]);
  });

  it("lists events newest first and filters each by itself", async () => {
    await apply(
      remember({ key: "issue:a", content: "x", eventId: "1", at: 10, success: false, agent: "a1" }),
      remember({ key: "issue:a", content: "x", eventId: "2", at: 20, success: true, agent: "a2" }),
      remember({ key: "note", content: "y", eventId: "3", at: 15 }),
    );
    const ids = async (filter = {}, page = PAGE) =>
      (await under.store.events(call, filter, page)).map((event) => event.id);
    expect(await ids()).toEqual(["2", "3", "1"]);
    expect(await ids({}, { limit: 1, offset: 1 })).toEqual(["3"]);
    expect(await ids({ success: false })).toEqual(["1"]);
    expect(await ids({ agent: "a2" })).toEqual(["2"]);
    expect(await ids({ since: 15 })).toEqual(["2", "3"]);
    expect(await ids({ issue: "not" })).toEqual(["3"]);
    expect(await ids({ record: recordId("default", "issue:a", "x", null) })).toEqual(["2", "1"]);
    expect((await Array.fromAsync(under.store.export(call))).map((event) => event.id)).toEqual([
      "1",
      "3",
      "2",
    ]);
  });

  it("finds the records of exactly one key, case ignored", async () => {
    await apply(
      remember({ key: "issue:Pool", content: "one", eventId: "1", at: 10 }),
      remember({ key: "issue:pool", content: "two", eventId: "2", at: 20, agent: "a" }),
      remember({ key: "issue:pool-2", content: "three", eventId: "3", at: 30, agent: "a" }),
    );
    const key = "issue:pool";
    expect(await keys({ key })).toEqual(["issue:pool", "issue:Pool"]);
    expect(await keys({ key, agent: "a" })).toEqual(["issue:pool"]);
    expect(await keys({ key: "issue:po%" })).toEqual([]);
    expect((await under.store.events(call, { key }, PAGE)).map(({ id }) => id)).toEqual(["2", "1"]);
    expect(await under.store.keyMatches(call, "issue:pool", { key: "issue:pool-2" }, 10)).toHaveLength(1);
  });

  it("goes on after a place in the list of records, equal times included", async () => {
    // the times of the events decide, not the order in which they came; one record has an older event at the place itself
    await apply(
      remember({ key: "issue:b", content: "x", eventId: "b", at: 50 }),
      remember({ key: "issue:a", content: "x", eventId: "a", at: 50 }),
      remember({ key: "issue:B", content: "x", eventId: "B", at: 50, agent: "w" }),
      remember({ key: "issue:old", content: "x", eventId: "o", at: 40, agent: "w" }),
      remember({ key: "issue:new", content: "x", eventId: "n", at: 60 }),
      remember({ key: "issue:new", content: "x", eventId: "aa", at: 50 }),
    );
    const after = (at: number, id: string, page: Partial<Page> = {}, filter: RecordFilter = {}) =>
      keys(filter, { ...PAGE, ...page, after: { at, id } });
    expect(await after(60, "n")).toEqual(["issue:b", "issue:a", "issue:B", "issue:old"]);
    expect(await after(50, "b")).toEqual(["issue:a", "issue:B", "issue:old"]);
    expect(await after(50, "a")).toEqual(["issue:B", "issue:old"]);
    expect(await after(50, "b", { limit: 1, offset: 1 })).toEqual(["issue:B"]);
    expect(await after(50, "b", {}, { agent: "w" })).toEqual(["issue:B", "issue:old"]);
    // the row of the place may be gone
    expect(await after(50, "aaa")).toEqual(["issue:a", "issue:B", "issue:old"]);
    expect(await after(40, "o")).toEqual([]);
    expect(await pagesOf((page) => under.store.records(call, {}, page))).toEqual(["n", "b", "a", "B", "o"]);
  });

  it("goes on after a place in the list of events, equal times included", async () => {
    for (const [id, at] of [
      ["e", 9],
      ["d", 10],
      ["C", 10],
      ["b", 10],
      ["a", 11],
    ] as const)
      await apply(remember({ key: "issue:same", content: "x", eventId: id, at, success: id !== "b" }));
    const after = async (at: number, id: string, page: Partial<Page> = {}, filter: RecordFilter = {}) =>
      (await under.store.events(call, filter, { ...PAGE, ...page, after: { at, id } })).map(
        (event) => event.id,
      );
    expect(await after(11, "a")).toEqual(["d", "b", "C", "e"]);
    expect(await after(10, "b")).toEqual(["C", "e"]);
    expect(await after(10, "d", { limit: 1, offset: 1 })).toEqual(["C"]);
    expect(await after(10, "d", {}, { success: true })).toEqual(["C", "e"]);
    expect(await after(9, "e")).toEqual([]);
    const page = (next: Page) => under.store.events(call, {}, next);
    expect(
      await pagesOf(async (next) =>
        (await page(next)).map(({ at, id }) => ({ lastSeen: at, lastEvent: id })),
      ),
    ).toEqual(["a", "d", "b", "C", "e"]);
  });
}

/** Ids of the events of all pages of two rows, each asked for with the last row of the one before. */
async function pagesOf(
  read: (page: Page) => Promise<{ lastSeen: number; lastEvent: string }[]>,
): Promise<string[]> {
  const ids: string[] = [];
  let after: EventCursor | undefined;
  for (;;) {
    const rows = await read({ limit: 2, offset: 0, ...(after && { after }) });
    ids.push(...rows.map(({ lastEvent }) => lastEvent));
    const last = rows.at(-1);
    if (!last) return ids;
    after = { at: last.lastSeen, id: last.lastEvent };
  }
}
