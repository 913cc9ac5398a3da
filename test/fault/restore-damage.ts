/** Archives that are not what they were: each is refused, and what is live stays. */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { digest, lastArchive } from "../support/backup.ts";
import type { Sandbox } from "../support/cli.ts";

const NAME = "victim";

export type Container = "tar.gz" | "tar.zst" | "dir";

/** An archive of the embedded file, and the file as it is now: another one. */
export interface Target {
  box: Sandbox;
  /** Files whose bytes can be hit. */
  files: string[];
}

/** Of the data file and what SQLite keeps beside it. */
export async function live(box: Sandbox): Promise<string[]> {
  const names = readdirSync(box.dir).filter((name) => name.startsWith("data.db") && !name.endsWith("-shm"));
  return Promise.all(names.toSorted().map(async (name) => `${name} ${await digest(join(box.dir, name))}`));
}

/** Makes an archive in a container and changes the data afterwards. */
export async function makeTarget(box: Sandbox, container: Container): Promise<Target> {
  await box.ok(["remember", "issue:disk full", "logs rotated"]);
  await box.ok(["backup", "sqlite", "--name", NAME, "--format", container]);
  await box.ok(["remember", "issue:later", "nothing to be done"]);
  const path = lastArchive(join(box.cwd, "backups"));
  const files =
    container === "dir"
      ? readdirSync(path, { recursive: true, encoding: "utf8" })
          .map((name) => join(path, name))
          .filter((name) => statSync(name).isFile() && statSync(name).size > 0)
      : [path];
  return { box, files };
}

/** Restores what is damaged: refused as damaged, by name, and the data file has the bytes that it had. */
export async function checkFound(box: Sandbox, what: string): Promise<void> {
  const before = await live(box);
  const ran = await box.run(["restore", NAME, "--yes"]);
  expect(ran.code, `${what}: ${ran.stderr}`).toBe(23);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  expect(await live(box), what).toEqual(before);
}

function flip(path: string, bit: number): void {
  const byte = readFileSync(path)[bit >> 3]!;
  const handle = openSync(path, "r+");
  writeSync(handle, Buffer.from([byte ^ (1 << (bit & 7))]), 0, 1, bit >> 3);
  closeSync(handle);
}

/** Flips one random bit after the other, each in an otherwise whole archive. */
export async function flipBits(target: Target, count: number, random: () => number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const path = target.files[Math.floor(random() * target.files.length)]!;
    const bit = Math.floor(random() * statSync(path).size * 8);
    flip(path, bit);
    await checkFound(target.box, `bit ${bit} of ${path}`);
    flip(path, bit);
  }
}

/** Cuts at random places, half of the time among the last bytes. */
export async function cutOff(target: Target, count: number, random: () => number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const path = target.files[Math.floor(random() * target.files.length)]!;
    const whole = readFileSync(path);
    const range = random() < 0.5 ? whole.length : Math.min(whole.length, 64);
    const length = whole.length - 1 - Math.floor(random() * range);
    truncateSync(path, Math.max(0, length));
    await checkFound(target.box, `${length} of ${whole.length} bytes of ${path}`);
    writeFileSync(path, whole);
  }
}
