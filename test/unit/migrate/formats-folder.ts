/** A folder on the disk for each test that reads one. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeEach, expect } from "vitest";
import { type EngineName, OpsError } from "../../../src/errors.ts";
import { readFolder } from "../../../src/migrate/formats/folder.ts";
import type { Format } from "../../../src/migrate/port.ts";

const root = mkdtempSync(join(tmpdir(), "opsctl-formats-"));
let count = 0;
/** The folder of the running test. */
export let place = "";
beforeEach(() => {
  count += 1;
  place = join(root, String(count));
  mkdirSync(place);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

export type Files = Record<string, string | Buffer>;

/** Files by name; a name that ends with `/` is a folder. */
export function lay(files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(place, name);
    mkdirSync(dirname(path), { recursive: true });
    if (name.endsWith("/")) mkdirSync(path, { recursive: true });
    else writeFileSync(path, content);
  }
}

/** Files whose text does not matter. */
export function files(...names: string[]): Files {
  return Object.fromEntries(names.map((name) => [name, "SELECT 1;"]));
}

export const UP_AND_DOWN = "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n";

export function read(format: Format | "auto" = "auto", engine: EngineName = "postgres", path = place) {
  return readFolder(engine, path, format, "migrations");
}

/** Why the folder cannot be read. */
export function refusal(format?: Format | "auto", engine?: EngineName, path?: string): OpsError {
  try {
    read(format, engine, path);
  } catch (error) {
    expect(error).toBeInstanceOf(OpsError);
    return error as OpsError;
  }
  throw new Error("the folder was read");
}
