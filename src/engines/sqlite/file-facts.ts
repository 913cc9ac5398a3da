/** What a SQLite file says of itself, and the files beside it. */
import { statSync } from "node:fs";
import type Database from "better-sqlite3";

export interface FileFacts {
  journalMode: string;
  /** Bytes. */
  pageSize: number;
  /** All pages, those that are only in the log included. */
  pages: number;
  freePages: number;
}

export function fileFacts(database: Database.Database): FileFacts {
  const number = (name: string) => database.pragma(name, { simple: true }) as number;
  return {
    journalMode: database.pragma("journal_mode", { simple: true }) as string,
    pageSize: number("page_size"),
    pages: number("page_count"),
    freePages: number("freelist_count"),
  };
}

/** Share of pages that hold nothing, percent. */
export function freePercent({ pages, freePages }: FileFacts): number {
  return pages === 0 ? 0 : (freePages * 100) / pages;
}

/** Bytes of a file; 0: there is none. Never opens it: closing it again would give up the locks that this process has on it. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Tables for which ANALYZE would pay: they were never analyzed, or are of quite another size since
 * (https://sqlite.org/pragma.html#pragma_optimize: 1 only tells, 2 analyzes, 0x10000 looks at all tables). Empty where nothing would.
 */
export function wantsAnalyze(database: Database.Database): string[] {
  const statements = database.prepare<[], string>("PRAGMA main.optimize(0x10003)").pluck().all();
  return statements.filter((statement) => statement.startsWith("ANALYZE"));
}
