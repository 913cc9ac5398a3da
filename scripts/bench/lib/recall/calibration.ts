/** How sure `recall --best` has to be: what it answers, and how often rightly, at each threshold. */
import { confidenceOf } from "../../../../src/memory/best.ts";
import { BEST_THRESHOLD } from "../../../../src/memory/tuning.ts";
import { type Corpus, importLine, type Question } from "../dataset.ts";
import { answer, fill, type OpenMemory, onFreshFile } from "../opsctl-recall.ts";
import { markdownTable } from "../table.ts";
import { unknownQuestions } from "./unknown.ts";
import { askedAs, WAYS } from "./ways.ts";

const THRESHOLDS = [0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8];
/** Asked by the title, and by the whole report. */
const ASKED = WAYS.slice(0, 2);

/** An issue in the order of the list. */
interface Judged {
  confidence: number;
  isRight: boolean;
}

interface Column {
  name: string;
  /** By query. */
  all: Judged[][];
  /** The store holds what is asked for. */
  hasAnswers: boolean;
}

/** One row a threshold; the threshold in use is marked. */
export async function calibrationTable(corpora: readonly Corpus[]): Promise<string> {
  const columns: Column[] = [];
  for (const way of ASKED) {
    const asked = askedAs(corpora, way);
    columns.push(
      { name: `${way.name}, known`, all: await judgeAll(asked), hasAnswers: true },
      {
        name: `${way.name}, duplicates absent`,
        all: await judgeAll(asked.map(withoutRelevant)),
        hasAnswers: false,
      },
    );
  }
  const [first] = corpora;
  const unknown = unknownQuestions().map(
    (query, index): Question => ({
      id: `unknown-${index}`,
      query,
      store: 0,
      relevant: [],
      text: "",
    }),
  );
  columns.push({
    name: "other systems, languages, nonsense",
    all: await judgeAll([{ ...first!, queries: unknown }]),
    hasAnswers: false,
  });
  const thresholds = [...new Set([...THRESHOLDS, BEST_THRESHOLD])].sort((a, b) => a - b);
  const rows = thresholds.map((threshold) => [
    threshold === BEST_THRESHOLD ? `**${threshold}**` : String(threshold),
    ...columns.map((column) => cell(column, threshold)),
  ]);
  const header = ["threshold", ...columns.map(({ name, all }) => `${name} (${all.length})`)];
  return markdownTable(header, rows);
}

/** The first issue that is sure enough speaks. Where nothing right is stored, every answer is wrong. */
function cell({ all, hasAnswers }: Column, threshold: number): string {
  const answers = all.flatMap((issues) => issues.find(({ confidence }) => confidence >= threshold) ?? []);
  const right = answers.filter(({ isRight }) => isRight).length;
  return hasAnswers ? `${right} right, ${answers.length - right} wrong` : `${answers.length} wrong`;
}

async function judgeAll(corpora: readonly Corpus[]): Promise<Judged[][]> {
  const all: Judged[][] = [];
  for (const { reports, queries } of corpora) {
    await onFreshFile(async (memory) => {
      await fill(memory, reports.map(importLine));
      for (const question of queries) all.push(await judge(memory, question));
    });
  }
  return all;
}

async function judge(memory: OpenMemory, { query, relevant }: Question): Promise<Judged[]> {
  const { results, search } = await answer(memory, query);
  const keys = results.map(({ record }) => record.key);
  const issues = results.filter(({ record }, index) => keys.indexOf(record.key) === index);
  return issues.map((issue) => ({
    confidence: confidenceOf(
      search,
      issue,
      issues.filter((other) => other !== issue),
    ),
    isRight: relevant.includes(issue.record.id),
  }));
}

/** The store as it would be if nobody had ever seen what the queries ask for. */
function withoutRelevant({ store, reports, queries }: Corpus): Corpus {
  const known = new Set(queries.flatMap(({ relevant }) => relevant));
  return { store, reports: reports.filter(({ id }) => !known.has(id)), queries };
}
