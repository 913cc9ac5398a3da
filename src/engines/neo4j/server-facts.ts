/** What a Neo4j server says of itself beside its data: settings, its Java machine, where its files are. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../../call.ts";
import { type OpsError, toOpsError } from "../../errors.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Neo4jConnection } from "./connect.ts";
import { isDriverError } from "./errors.ts";

const GONE: readonly OpsError["code"][] = ["unreachable", "interrupted", "terminated"];

/**
 * Rows of a query that a user may not be allowed to run, or an edition may not know.
 * @throws Unknowable for a refusal; OpsError for a server that does not answer, or lets nobody in any more
 */
export async function told<T>(
  call: Call,
  connection: Neo4jConnection,
  what: string,
  query: string,
  params: Record<string, unknown> = {},
): Promise<T[]> {
  try {
    return await connection.read<T>(call, query, params);
  } catch (error) {
    const known = toOpsError(error);
    const isRefused = isDriverError(known.cause) && /\.Security\.Forbidden/.test(known.cause.code);
    const isLogin = known.code === "auth" && !isRefused;
    if (call.signal.aborted || isLogin || GONE.includes(known.code)) throw known;
    const hint = isRefused ? "let the user do it, or name another in NEO4J_USERNAME" : undefined;
    throw new Unknowable(`${what}: ${known.message}`, hint);
  }
}

/** The one row of such a query. @throws Unknowable also for none; OpsError as `told` */
export async function toldOne<T>(
  call: Call,
  connection: Neo4jConnection,
  what: string,
  query: string,
  params: Record<string, unknown> = {},
): Promise<T> {
  const [row] = await told<T>(call, connection, what, query, params);
  if (row === undefined) throw new Unknowable(`${what}: the server does not tell`);
  return row;
}

/** Values as SHOW SETTINGS writes them: `64.00MiB`, `30s`, `127.0.0.1:7687`. A setting that is unset or unknown is missing. */
export type Settings = ReadonlyMap<string, string>;

const SETTINGS = "SHOW SETTINGS YIELD name, value WHERE value IS NOT NULL RETURN name, value";

/** @throws Unknowable, OpsError as `told` */
export async function settingsOf(call: Call, connection: Neo4jConnection): Promise<Settings> {
  const rows = await told<{ name: string; value: string }>(call, connection, "settings", SETTINGS);
  return new Map(rows.map(({ name, value }) => [name, value]));
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Bytes of `64.00MiB`, `512m`, `0B`; null for what is no size. */
export function bytesOf(value: string | undefined): number | null {
  const found = /^([\d.]+)\s*([kmgtp]?)i?b?$/i.exec(value ?? "");
  return found ? Math.round(Number(found[1]) * UNITS[found[2]!.toLowerCase()]!) : null;
}

export interface Heap {
  used: number;
  committed: number;
  max: number;
}

const HEAP = `CALL dbms.queryJmx('java.lang:type=Memory') YIELD attributes
WITH attributes.HeapMemoryUsage.value.properties AS heap
RETURN heap.used AS used, heap.committed AS committed, heap.max AS max`;

/** Bytes. @throws Unknowable, OpsError as `told` */
export async function heapOf(call: Call, connection: Neo4jConnection): Promise<Heap> {
  return toldOne<Heap>(call, connection, "heap", HEAP);
}

export interface Machine {
  /** `4711@host`: process and host name, as the server sees them. */
  name: string;
  /** Of the machine or container that it runs on, bytes. */
  memoryBytes: number;
  /** Of Java: `-Xmx512m`. */
  arguments: string[];
}

const MACHINE = `CALL dbms.queryJmx('java.lang:type=Runtime') YIELD attributes AS java
CALL dbms.queryJmx('java.lang:type=OperatingSystem') YIELD attributes AS system
RETURN java.Name.value AS name, java.InputArguments.value AS arguments,
  system.TotalPhysicalMemorySize.value AS memoryBytes`;

/** @throws Unknowable, OpsError as `told` */
export async function machineOf(call: Call, connection: Neo4jConnection): Promise<Machine> {
  return toldOne<Machine>(call, connection, "machine", MACHINE);
}

/**
 * Size of the database's files, bytes, where the server runs on this host and its files may be read. Transaction logs are not counted.
 * @param root where the host's file system begins
 * @throws Unknowable, OpsError as `told`
 */
export async function storeSize(
  call: Call,
  connection: Neo4jConnection,
  settings: Settings,
  database: string,
  root: string,
): Promise<number> {
  const data = settings.get("server.directories.data");
  if (data === undefined) throw new Unknowable("store size: the server does not say where its data is");
  const { name } = await machineOf(call, connection);
  const host = await readFile(join(root, "proc/sys/kernel/hostname"), "utf8").catch(() => "");
  if (host.trim() === "" || name.split("@").at(-1) !== host.trim()) {
    throw new Unknowable("store size: the server's files are not on this host", "ask on the server's host");
  }
  const folder = join(root, data, "databases", database.toLowerCase());
  try {
    return await sizeOf(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EACCES" ? "may not be read" : "is not there";
    throw new Unknowable(`store size: ${folder} ${why}`, "run opsctl as a user who may read it");
  }
}

/** Of all files below. One that goes away meanwhile counts nothing. */
async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    size += await stat(join(entry.parentPath, entry.name)).then(
      (file) => file.size,
      () => 0,
    );
  }
  return size;
}

/** Text of a user for a finding: one line, at most 120 characters. */
export function excerpt(query: string): string {
  const line = query.replaceAll(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}
