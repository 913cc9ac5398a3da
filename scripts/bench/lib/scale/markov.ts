/** Fixes of real words in real company: Markov chains over the texts of the tuning split, beside rare identifiers. Same seed, same fixes. */
import { closeSync, openSync, writeSync } from "node:fs";
import { STOPWORDS } from "../../../../src/memory/stopwords.ts";
import type { Report } from "../dataset.ts";
import { createRandom, type Random } from "../random.ts";

/** A stored fix that a query asks for. */
export interface Known {
  id: string;
  query: string;
}

const WORD = /^[A-Za-z][A-Za-z'-]{0,23}[.,:;!?]?$/;
/** Every so often a text goes on at another place that has only the last word in common: two words alone would copy whole sentences. */
const LOOSE = 0.3;
/**
 * Share of words that are names of something: host names, options, error codes. Two real words each, as uneven as words are, so that the
 * vocabulary goes on growing with the store, as it does in text (Heaps).
 */
const NAMES = 0.04;

/** How words follow each other in `reports`. */
export class Language {
  readonly #afterTwo = new Map<string, string[]>();
  readonly #afterOne = new Map<string, string[]>();
  readonly #starts: string[] = [];
  readonly #byCount: string[];

  constructor(reports: readonly Pick<Report, "title" | "text">[]) {
    const counts = new Map<string, number>();
    for (const { title, text } of reports) {
      const words = `${title} ${text}`.split(/\s+/).filter((word) => WORD.test(word));
      this.#starts.push(...words.slice(0, 1));
      for (const [index, word] of words.entries()) {
        const plain = plainWord(word);
        counts.set(plain, (counts.get(plain) ?? 0) + 1);
        if (index > 0) append(this.#afterOne, words[index - 1]!, word);
        if (index > 1) append(this.#afterTwo, `${words[index - 2]} ${words[index - 1]}`, word);
      }
    }
    this.#byCount = [...counts]
      .filter(([word]) => word.length > 2 && !STOPWORDS.has(word))
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .map(([word]) => word);
  }

  /** The most frequent words, stopwords left out. */
  commonest(count: number): string[] {
    return this.#byCount.slice(0, count);
  }

  text(random: Random, length: number): string[] {
    const words = [random.pick(this.#starts)];
    while (words.length < length) {
      const last = words.at(-1)!;
      const after =
        (random.next() < LOOSE ? undefined : this.#afterTwo.get(`${words.at(-2)} ${last}`)) ??
        this.#afterOne.get(last) ??
        this.#starts;
      words.push(random.pick(after));
    }
    return words.map((word) => (random.next() < NAMES ? this.#name(random) : word));
  }

  #name(random: Random): string {
    // rank = e^(u·ln n): a Zipf distribution with exponent 1
    const word = () => this.#byCount[Math.floor(this.#byCount.length ** random.next()) - 1]!;
    const [first, second] = [word(), word()];
    const capitalized = second.charAt(0).toUpperCase() + second.slice(1);
    return random.pick([`${first}${second}`, `${first}_${second}`, `${first}${capitalized}`]);
  }
}

/**
 * Writes `count` lines of `opsctl fixes import`, 40 words each, in constant memory.
 * @returns `asked` of them, evenly spread, each with a query of 4 to 12 of its words
 */
export function writeFixes(
  file: string,
  language: Language,
  count: number,
  asked: number,
  seed = 1,
): Known[] {
  const random = createRandom(seed);
  const questions = createRandom(seed + 1);
  const between = (least: number, most: number) => least + random.below(most - least + 1);
  const step = Math.floor(count / asked);
  const known: Known[] = [];
  const output = openSync(file, "w");
  let lines = "";
  for (let index = 0; index < count; index += 1) {
    const [title, solution, details] = [between(5, 9), between(8, 14), between(19, 25)].map((length) =>
      language.text(random, length),
    ) as [string[], string[], string[]];
    const id = uuid(random);
    lines += `${JSON.stringify({
      id,
      event_id: uuid(random),
      issue: title.join(" "),
      solution: solution.join(" "),
      details: details.join(" "),
      success: random.next() < 0.8,
      agent: `agent-${random.below(20)}`,
      server: `host-${random.below(50)}`,
      ts: 1_700_000_000_000 + index * 1000,
    })}\n`;
    if (index % step === step - 1 && known.length < asked)
      known.push({ id, query: question(questions, [...title, ...solution, ...details]) });
    if (lines.length > 1_000_000 || index === count - 1) {
      writeSync(output, lines);
      lines = "";
    }
  }
  closeSync(output);
  return known;
}

/** 4 to 12 different words in any order, the last one in another form. */
function question(random: Random, words: readonly string[]): string {
  const plain = [...new Set(words.map(plainWord))].filter((word) => word.length > 2 && !STOPWORDS.has(word));
  const chosen = random.shuffled(plain).slice(0, 4 + random.below(9));
  return chosen.map((word, index) => (index === chosen.length - 1 ? inflected(word) : word)).join(" ");
}

const plainWord = (word: string) => word.toLowerCase().replace(/[^a-z]+$/, "");
const inflected = (word: string) => (word.endsWith("s") ? word.slice(0, -1) : `${word}s`);

function append(lists: Map<string, string[]>, key: string, word: string): void {
  const list = lists.get(key);
  if (list) list.push(word);
  else lists.set(key, [word]);
}

function uuid(random: Random): string {
  const hex = () =>
    Math.floor(random.next() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return `${hex()}-${hex().slice(0, 4)}-8${hex().slice(0, 3)}-8${hex().slice(0, 3)}-${hex()}${hex().slice(0, 4)}`;
}
