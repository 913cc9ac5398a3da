import type { Outcome } from "../../memory/model.ts";
import type { PreparedWrite } from "../../memory/port.ts";
import type { Where } from "./config.ts";
import { CorpusChange } from "./corpus.ts";
import { lockCorpus } from "./index-version.ts";
import type { Session } from "./session.ts";
import { applyAgents } from "./write-agents.ts";
import { applyForgets } from "./write-forget.ts";
import { applyRemembers } from "./write-remember.ts";

/** One kind of write. */
export type WriteOf<K extends PreparedWrite["kind"]> = Extract<PreparedWrite, { kind: K }>;

const MAX_RUN_WRITES = 2000;
/** Characters of one run: it travels as the parameters of one statement. */
const MAX_RUN_CHARACTERS = 16_000_000;

/**
 * Applies writes inside the caller's transaction: consecutive writes of one kind together, a few statements
 * for all of them. Writers take turns (they lock the statistics row first), so that none meets another's half
 * of a batch.
 */
export async function applyWrites(
  session: Session,
  where: Where,
  writes: readonly PreparedWrite[],
): Promise<Outcome[]> {
  await lockCorpus(session, where);
  const corpus = new CorpusChange();
  const outcomes: Outcome[] = [];
  for (const run of runsOf(writes)) outcomes.push(...(await applyRun(session, run, corpus)));
  await corpus.write(session);
  return outcomes;
}

function applyRun(session: Session, run: readonly PreparedWrite[], corpus: CorpusChange): Promise<Outcome[]> {
  switch (run[0]!.kind) {
    case "remember":
      return applyRemembers(session, run as WriteOf<"remember">[], corpus);
    case "agent":
      return applyAgents(session, run as WriteOf<"agent">[]);
    case "forget":
      return applyForgets(session, run as WriteOf<"forget">[], corpus);
  }
}

function* runsOf(writes: readonly PreparedWrite[]): Generator<PreparedWrite[]> {
  let run: PreparedWrite[] = [];
  let characters = 0;
  for (const write of writes) {
    const size = sizeOf(write);
    const isFull = run.length >= MAX_RUN_WRITES || characters + size > MAX_RUN_CHARACTERS;
    if (run.length > 0 && (isFull || run[0]!.kind !== write.kind)) {
      yield run;
      run = [];
      characters = 0;
    }
    run.push(write);
    characters += size;
  }
  if (run.length > 0) yield run;
}

function sizeOf(write: PreparedWrite): number {
  if (write.kind !== "remember") return 0;
  return write.record.content.length + (write.record.details?.length ?? 0) + 3 * write.prepared.body.length;
}
