/** Files of this program that hold secrets or data. */
import { lstat, readFile, realpath } from "node:fs/promises";
import type { StackScope } from "./scope.ts";

export interface KeptFile {
  path: string;
  /** Permission bits. */
  mode: number;
  /** `the .env file`, `the state file`. */
  what: string;
  hasSecrets: boolean;
}

/** A setting with a value that is secret, or a URL with a password in it. */
const SECRET_LINE =
  /^\s*(?:export\s+)?\w*(?:PASSWORD|SIGNING_KEY|IDENTITY|PING_\w+)\s*=\s*["']?[^\s"'#]|:\/\/[^\s:/@]*:[^\s/@]+@/im;

/** Containers are given secrets there; whoever runs them chooses the modes. */
const GIVEN = /^(\/var)?\/run\/secrets\//;

/** The configuration files that are there, and the files that hold one secret each. */
export async function configurationFiles({ files, secrets }: StackScope): Promise<KeptFile[]> {
  const found: KeptFile[] = [];
  for (const [path, what] of [
    [files.config, "the configuration file"],
    [files.dotenv, "the .env file"],
  ] as const) {
    if (path === null) continue;
    const text = await readFile(path, "utf8").catch(() => "");
    found.push(...(await kept(path, what, SECRET_LINE.test(text))));
  }
  for (const { name, file } of secrets) {
    if (file !== null && !GIVEN.test(file)) found.push(...(await kept(file, `the file of ${name}`, true)));
  }
  return found;
}

/** A SQLite file with what lies beside it. */
export async function sqliteFiles(path: string, what: string): Promise<KeptFile[]> {
  const parts = [path, `${path}-wal`, `${path}-shm`, `${path}-journal`];
  return (await Promise.all(parts.map((part) => kept(part, what, false)))).flat();
}

/** Links are followed: what they lead to is what counts. Nothing for what is no file. */
async function kept(path: string, what: string, hasSecrets: boolean): Promise<KeptFile[]> {
  try {
    const real = await realpath(path);
    const stats = await lstat(real);
    return stats.isFile() ? [{ path: real, mode: stats.mode & 0o7777, what, hasSecrets }] : [];
  } catch {
    return [];
  }
}
