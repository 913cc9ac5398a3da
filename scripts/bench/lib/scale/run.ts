/** One size of `recall-scale.ts`: import, search in one process, whole processes. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { medians, timeNode } from "../processes.ts";
import { type Imported, importBoth, importPostgres, OPSCTL, type Place } from "./imports.ts";
import { type Known, type Language, writeFixes } from "./markov.ts";
import { type Figures, Searchers, type Source } from "./searchers.ts";

export const QUERIES = 200;
/** A million rows take minutes: they are imported once. */
const OFTEN_UP_TO = 100_000;
const IMPORT_RUNS = 3;
const START_RUNS = 20;
/** Words of a query that tells nothing, each as common as can be, and how often it is asked. */
const COMMON_WORDS = 8;
const COMMON_RUNS = 5;

export interface Wanted {
  rows: number;
  language: Language;
  /** A fresh database. */
  postgresUrl?: string;
  withMinisearch: boolean;
}

export interface Measured {
  rows: number;
  bareMs: number;
  own: Imported;
  postgres?: Imported;
  searches: { source: Source; known: Figures; common: Figures }[];
  /** Whole processes: `node -e 0`, `opsctl recall --json`. */
  startMs: number;
  recallMs: number;
}

/** Leaves nothing in `folder`. */
export async function measure(wanted: Wanted, folder: string, signal: AbortSignal): Promise<Measured> {
  const { rows, language, postgresUrl } = wanted;
  const home = join(folder, String(rows));
  mkdirSync(home);
  const env = {
    PATH: process.env["PATH"],
    HOME: home,
    NODE_COMPILE_CACHE: join(home, "compile-cache"),
    OPSCTL_STATE: join(home, "state.db"),
  };
  const place: Place = {
    input: join(home, "fixes.ndjson"),
    bareFile: join(home, "bare.db"),
    ownFile: join(home, "own.db"),
    env,
  };
  try {
    const known = writeFixes(place.input, language, rows, QUERIES);
    const imported = await importBoth(place, rows > OFTEN_UP_TO ? 1 : IMPORT_RUNS);
    signal.throwIfAborted();
    const postgres = postgresUrl ? await importPostgres(place.input, postgresUrl, env) : undefined;
    signal.throwIfAborted();
    const searches = await search(wanted, place, home, known, signal);
    const starts = timeStarts(known, { ...env, OPSCTL_DB: place.ownFile });
    return { rows, ...imported, postgres, searches, ...starts };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function search(
  { language, postgresUrl, withMinisearch }: Wanted,
  { input, bareFile, ownFile }: Place,
  folder: string,
  known: readonly Known[],
  signal: AbortSignal,
): Promise<Measured["searches"]> {
  const sources: Source[] = [
    { peer: "opsctl", at: ownFile },
    ...(postgresUrl ? [{ peer: "postgres", at: postgresUrl } as const] : []),
    { peer: "fts5", at: bareFile },
    ...(withMinisearch ? [{ peer: "minisearch", at: input } as const] : []),
  ];
  const common = { id: "", query: language.commonest(COMMON_WORDS).join(" ") };
  const searchers = await Searchers.start(sources, folder);
  try {
    const figures = await searchers.ask(known, signal);
    const commonest = await searchers.ask(Array<Known>(COMMON_RUNS).fill(common), signal);
    return sources.map((source, index) => ({ source, known: figures[index]!, common: commonest[index]! }));
  } finally {
    searchers.stop();
  }
}

function timeStarts(known: readonly Known[], env: NodeJS.ProcessEnv): Pick<Measured, "startMs" | "recallMs"> {
  let next = 0;
  const [startMs, recallMs] = medians(START_RUNS, 3, [
    () => timeNode(["-e", "0"], env),
    () => timeNode([OPSCTL, "recall", "--json", known[next++ % known.length]!.query], env),
  ]) as [number, number];
  return { startMs, recallMs };
}
