import { readFile, rm, stat } from "node:fs/promises";
import { operationFiles } from "../health/operations.ts";
import type { PlacedKind } from "./cleanup.ts";
import type { CleanupItem } from "./port.ts";

/**
 * The log of operations, once its last line is too old. It is bounded by its size, and a file that others append to is not rewritten: so a whole file
 * goes, and never a part of it.
 */
export function operationsKind(stateFile: string, keepMs: number): PlacedKind {
  return {
    kind: "operations",
    title: "log of operations",
    engine: null,
    async find() {
      const before = Date.now() - keepMs;
      const { current, older } = operationFiles(stateFile);
      return (await Promise.all([older, current].map((path) => oldLog(path, before)))).flat();
    },
  };
}

async function oldLog(path: string, before: number): Promise<CleanupItem[]> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats || stats.mtimeMs >= before) return [];
  const text = await readFile(path, "utf8");
  return [
    {
      subject: path,
      why: `its last line is of ${new Date(stats.mtimeMs).toISOString()}`,
      count: text.split("\n").length - 1,
      size_bytes: stats.size,
      remove: () => rm(path, { force: true }),
    },
  ];
}
