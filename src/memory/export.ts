/** Export of the memory as NDJSON: one event a line. */
import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, OpsError } from "../errors.ts";
import { type EventView, issueOf } from "./model.ts";
import type { Stores } from "./stores.ts";

/** The line of an event, as `importEvents` reads it back: the same record, the same event. */
function exportLine(event: EventView): Record<string, unknown> {
  const { record } = event;
  return {
    id: record.id,
    event_id: event.id,
    key: record.key,
    issue: issueOf(record.key) ?? undefined,
    content: record.content,
    details: record.details,
    success: event.success,
    agent: event.agent,
    server: event.server,
    ts: event.at,
    tags: event.tags,
    metadata: event.metadata,
  };
}

/**
 * All events, oldest first, from the first store that answers. Once rows have left, a failure is an error: half an export must not
 * look like a whole one.
 */
export async function exportEvents(
  call: Call,
  stores: Stores,
  write: (line: string) => Promise<void>,
): Promise<{ events: number; degraded: Degraded[] }> {
  let events = 0;
  const { degraded } = await stores.read(call, async (store) => {
    if (events > 0)
      throw new OpsError({ code: "failed", message: "the export broke off: its store went away" });
    for await (const event of store.export(call)) {
      throwIfAborted(call);
      await write(JSON.stringify(exportLine(event)));
      events += 1;
    }
  });
  return { events, degraded };
}
