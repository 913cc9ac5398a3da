/** Generated fixes: the same for the same seed, words as unevenly distributed as in text (Zipf). */
import { closeSync, openSync, writeSync } from "node:fs";
import { createRandom } from "./random.ts";

const VOCABULARY = 20_000;
const SYLLABLES =
  "ba co de fi gu ha jo ka le mi no pa qui re so ta u ve xi zo con ter net log err dis mem tim".split(" ");
/** Every tenth rank is such a word: identifiers and numbers take the analyzer's longer way. */
const TECHNICAL =
  "connectionTimeout max_connections ECONNREFUSED 5432 OutOfMemoryError x86_64 http2 replicaSet wal_level maxmemory";

/** Writes `count` lines of `opsctl fixes import`, about 40 words each. */
export function writeFixes(file: string, count: number, seed = 1): void {
  const { next, pick } = createRandom(seed);
  const technical = TECHNICAL.split(" ");
  const words = Array.from({ length: VOCABULARY }, (_, rank) =>
    rank % 10 === 9
      ? `${pick(technical)}${rank < 100 ? "" : rank}`
      : Array.from({ length: 1 + Math.ceil(next() * 3) }, () => pick(SYLLABLES)).join(""),
  );
  // rank = e^(u·ln n): the density of a Zipf distribution with exponent 1
  const word = () => words[Math.floor(VOCABULARY ** next()) - 1]!;
  const text = (least: number, most: number) =>
    Array.from({ length: least + Math.floor(next() * (most - least + 1)) }, word).join(" ");
  const uuid = () => {
    const hex = () =>
      Math.floor(next() * 2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return `${hex()}-${hex().slice(0, 4)}-8${hex().slice(0, 3)}-8${hex().slice(0, 3)}-${hex()}${hex().slice(0, 4)}`;
  };
  const output = openSync(file, "w");
  let lines = "";
  for (let index = 0; index < count; index += 1) {
    lines += `${JSON.stringify({
      id: uuid(),
      event_id: uuid(),
      issue: text(4, 9),
      solution: text(8, 16),
      details: text(14, 28),
      success: next() < 0.8,
      agent: `agent-${Math.floor(next() * 20)}`,
      server: `host-${Math.floor(next() * 50)}`,
      ts: 1_700_000_000_000 + index * 1000,
    })}\n`;
    if (lines.length > 1_000_000 || index === count - 1) {
      writeSync(output, lines);
      lines = "";
    }
  }
  closeSync(output);
}
