/** Five ways of asking the same 75 questions, so that nothing is tuned to one of them. */
import type { Corpus, Question, Report } from "../dataset.ts";

export interface Way {
  name: string;
  question?(question: Question): string;
  report?(report: Report): Report;
}

export const WAYS: readonly Way[] = [
  { name: "title" },
  { name: "title and text", question: ({ query, text }) => `${query}\n${text}` },
  { name: "text only", question: ({ query, text }) => text || query },
  { name: "every second word", question: ({ query }) => everySecondWord(query) },
  {
    name: "one key for all",
    report: (report) => ({ ...report, title: "incident", text: `${report.title}\n${report.text}` }),
  },
];

/** The corpora as they are stored and asked this way. */
export function askedAs(corpora: readonly Corpus[], { question, report }: Way): Corpus[] {
  return corpora.map(({ store, reports, queries }) => ({
    store,
    reports: report ? reports.map(report) : reports,
    queries: question ? queries.map((asked) => ({ ...asked, query: question(asked) })) : queries,
  }));
}

function everySecondWord(title: string): string {
  return title
    .split(" ")
    .filter((_, index) => index % 2 === 0)
    .join(" ");
}
