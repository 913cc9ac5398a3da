/** The tuning split of `recall`: bug reports in two stores and queries whose duplicates are known (test/data/recall-dev/README.md). */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../../../test/data/recall-dev");

export interface Report {
  id: string;
  title: string;
  text: string;
  resolution: string | null;
  created: string;
  stores: number[];
}

export interface Query {
  id: string;
  query: string;
  store: number;
  /** Ids of the reports that should be found. */
  relevant: string[];
}

/** A query with the text of the report that asks. */
export interface Question extends Query {
  text: string;
}

/** One store's worth of reports and the queries that ask it. */
export interface Corpus {
  store: number;
  reports: Report[];
  queries: Question[];
}

/** Both stores. The reports that ask are not in the store they ask. */
export function recallDev(): Corpus[] {
  const reports = readNdjson<Report>("reports.ndjson");
  const texts = new Map(reports.map(({ id, text }) => [id, text]));
  const queries = readNdjson<Query>("queries.ndjson").map((query) => ({
    ...query,
    text: texts.get(query.id) ?? "",
  }));
  return [0, 1].map((store) => ({
    store,
    reports: reports.filter(({ stores }) => stores.includes(store)),
    queries: queries.filter((query) => query.store === store),
  }));
}

/** A report as a line of `opsctl fixes import`. */
export function importLine({ id, title, text, resolution, created }: Report): string {
  return JSON.stringify({
    id,
    issue: title,
    details: text === "" ? null : text,
    solution: resolution || "reported",
    ts: created,
  });
}

function readNdjson<T>(name: string): T[] {
  return readFileSync(join(FOLDER, name), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
