/** Parts of a backup of Neo4j, run as the run itself runs them, into memory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import neo4j, { type Driver } from "neo4j-driver";
import type {
  BackupOptions,
  BackupPart,
  Copied,
  FileKind,
  PartOutput,
  Snapshot,
} from "../../src/backup/port.ts";
import type { Call } from "../../src/call.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import { testCall } from "../support/calls.ts";
import type { TestNeo4j } from "../support/servers.ts";

export const LIMITS: Limits = { connectMs: 2_000, queryMs: 30_000, poolSize: 10 };

export function targetOf({ uri, username, password }: TestNeo4j, changes: Partial<Target> = {}): Target {
  const same = { engine: "neo4j", database: "neo4j", shown: uri, identity: uri } as const;
  return { ...same, url: uri, username, password, ...changes };
}

export function optionsOf(changes: Partial<BackupOptions["neo4j"]> = {}): BackupOptions {
  const defaults = {
    method: "export",
    freeze: "never",
    freezeTimeoutMs: 20_000,
    admin: "neo4j-admin",
  } as const;
  return { databases: [], redis: { method: "auto" }, neo4j: { ...defaults, ...changes } };
}

export async function partOf(
  target: Target,
  changes: Partial<BackupOptions["neo4j"]> = {},
  limits: Partial<Limits> = {},
): Promise<BackupPart> {
  const origin = { target, limits: { ...LIMITS, ...limits } };
  const connection = await engine.connect(target, origin.limits);
  const [part] = await engine.capabilities.backup!(testCall(), connection, optionsOf(changes), origin);
  return part!;
}

export interface Exported {
  snapshot: Snapshot;
  copied: Copied;
  /** By path. */
  files: Map<string, { kind: FileKind; text: string; content: Buffer; isEnded: boolean }>;
  /** Lines of the one file that there is. */
  lines: string[];
}

/** All phases of a part. `between` comes when the snapshot is open. */
export async function backup(
  part: BackupPart,
  { call = testCall(120_000), between = async () => {} }: { call?: Call; between?: () => Promise<void> } = {},
): Promise<Exported> {
  const scratch = mkdtempSync(join(tmpdir(), "opsctl-graph-"));
  const files: Exported["files"] = new Map();
  const chunks = new Map<string, Buffer[]>();
  const out: PartOutput = {
    scratch,
    wants: () => true,
    file: async (path, kind) => {
      if (chunks.has(path)) throw new Error(`${path} is there already`);
      chunks.set(path, []);
      return {
        write: async (chunk) => void chunks.get(path)!.push(Buffer.from(chunk)),
        end: async () => {
          const content = Buffer.concat(chunks.get(path)!);
          files.set(path, { kind, content, text: content.toString("utf8"), isEnded: true });
        },
        discard: async () => void chunks.delete(path),
      };
    },
  };
  try {
    await part.open(call);
    const snapshot = await part.prepare(call);
    await between();
    const copied = await part.copy(call, out);
    const [file] = files.values();
    return { snapshot, copied, files, lines: file!.text.split("\n").slice(0, -1) };
  } finally {
    await part.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

export function openDriver({ uri, username, password }: TestNeo4j): Driver {
  return neo4j.driver(uri, neo4j.auth.basic(username, password), { disableLosslessIntegers: true });
}

/** One statement, committed. */
export async function run(driver: Driver, query: string, params: Record<string, unknown> = {}) {
  const { records } = await driver.executeQuery(query, params, { database: "neo4j" });
  return records.map((record) => record.toObject());
}

/** The graph of an export without its ids, in an order of its own: equal for equal graphs whose nodes are not all alike. */
export function graphOf(lines: readonly string[]): string[] {
  const nodes = new Map<string, string>();
  const found: string[] = [];
  for (const line of lines) {
    const node = /^\{"type":"node","id":(\d+),(.*)\}$/s.exec(line);
    const relationship = /^\{"type":"relationship","id":\d+,"start":(\d+),"end":(\d+),(.*)\}$/s.exec(line);
    if (node) {
      nodes.set(node[1]!, sortedProperties(node[2]!));
      found.push(nodes.get(node[1]!)!);
    } else if (relationship) {
      const [, start, end, rest] = relationship;
      found.push(`${nodes.get(start!)} -> ${nodes.get(end!)} ${sortedProperties(rest!)}`);
    } else if (!line.startsWith('{"type":"header"')) found.push(line);
  }
  return found.sort();
}

/** Properties have no order; their text has the difference between 1 and 1.0, which parsed JSON has not. */
function sortedProperties(rest: string): string {
  const at = rest.indexOf('"properties":{');
  const names = Object.keys(JSON.parse(rest.slice(at + '"properties":'.length)) as object);
  const text = rest.slice(at + '"properties":{'.length, -1);
  const starts = names
    .map((name) => ({ name, start: text.search(new RegExp(`(^|,)${escapeRegex(JSON.stringify(name))}:`)) }))
    .sort((a, b) => a.start - b.start);
  const parts = starts.map(({ start }, i) => text.slice(start, starts[i + 1]?.start).replace(/^,/, ""));
  return `${rest.slice(0, at)}${parts.sort().join(",")}`;
}

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
