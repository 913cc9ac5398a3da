/** What the kernel of the host says: /proc and /sys below the root folder. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Unknowable } from "./check.ts";

/** A file of the host; undefined where there is none or it may not be read. */
export async function textBelow(root: string, path: string): Promise<string | undefined> {
  try {
    return await readFile(join(root, path), "utf8");
  } catch {
    return undefined;
  }
}

/** A file of the host that holds one number; undefined where there is none. */
export async function numberBelow(root: string, path: string): Promise<number | undefined> {
  const text = (await textBelow(root, path))?.trim();
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Names in a folder of the host; empty where there is none. */
export async function namesBelow(root: string, path: string): Promise<string[]> {
  try {
    return await readdir(join(root, path));
  } catch {
    return [];
  }
}

/** Fields of /proc/meminfo in bytes. @throws Unknowable where there is no such file: another system than Linux */
export async function meminfo(root: string): Promise<Map<string, number>> {
  const text = await textBelow(root, "proc/meminfo");
  if (text === undefined) throw new Unknowable(`${join(root, "proc/meminfo")} cannot be read`);
  const fields = text.matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return new Map([...fields].map(([, name, kibibytes]) => [name!, Number(kibibytes) * 1024]));
}
