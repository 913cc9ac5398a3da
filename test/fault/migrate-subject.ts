/** What the fault tests of `migrate` run: fifty files for one engine whose every statement leaves a mark that can be counted. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../../src/errors.ts";
import type { Sandbox } from "../support/cli.ts";

/** One statement and what it does to the marks of the database. */
export interface Marked {
  text: string;
  /** This mark is there once more afterwards. */
  adds?: string;
  /** This mark is gone afterwards. */
  removes?: string;
  /** Left by one that was broken off, until it is run again. */
  partial?: string;
}

export interface MarkedFile {
  version: string;
  /** First lines of both files. */
  header?: string;
  up: Marked[];
  down: Marked[];
}

/** How often each mark is there. */
export type Marks = ReadonlyMap<string, number>;

/** One database of one engine, made for one test. */
export interface Subject {
  engine: EngineName;
  files: readonly MarkedFile[];
  /** Environment of every opsctl of the test. */
  env: Record<string, string>;
  /** Arguments of every `migrate` of the test, the engine first. */
  target: string[];
  /** Asks the database itself. */
  marks(): Promise<Marks>;
  /** Ends at once the lease that a killed holder has left, which would end by itself some seconds later. */
  expire?(): Promise<void>;
  /** Waits until the server has noticed that a killed client is gone. */
  settle(): Promise<void>;
  /** Drops the database. */
  drop(): Promise<void>;
}

export const FILES = 50;

/** Numbers of the files: 1 to `count`. */
export function numbers(count = FILES): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** `V007`. */
export function versionOf(number: number): string {
  return `V${String(number).padStart(3, "0")}`;
}

const EXTENSIONS: Record<EngineName, string> = {
  neo4j: "cypher",
  postgres: "sql",
  redis: "redis",
  sqlite: "sql",
};

/** Writes the files into the sandbox's folder of that engine. */
export function writeFiles(box: Sandbox, engine: EngineName, files: readonly MarkedFile[]): void {
  const folder = join(box.cwd, "migrations", engine);
  mkdirSync(folder, { recursive: true });
  for (const { version, header = "", up, down } of files) {
    for (const [direction, statements] of Object.entries({ up, down })) {
      if (statements.length === 0) continue;
      const text = `${header}${statements.map((one) => `${one.text}\n`).join("")}`;
      writeFileSync(join(folder, `${version}-step-${direction}.${EXTENSIONS[engine]}`), text);
    }
  }
}

/** Counts the marks of a list. */
export function countMarks(marks: readonly string[]): Marks {
  const counts = new Map<string, number>();
  for (const mark of marks) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  return counts;
}
