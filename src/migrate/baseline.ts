/** History that begins in the middle: files that the database holds already are recorded, not run. */
import type { Call } from "../call.ts";
import { OpsError, usageError } from "../errors.ts";
import { sha256 } from "../hash.ts";
import { type Entry, entriesOf, NOTHING } from "./history.ts";
import { commandOf, findVersion } from "./plan.ts";
import type { Format, HistoryRow, Migration, MigrationTarget, PeerHistory } from "./port.ts";
import { appliedRow } from "./runner.ts";
import type { Source } from "./source.ts";

export interface Baselined {
  /** Whether history was written: `baseline 0` records that nothing is applied. */
  changed: boolean;
  /** Recorded now; those that history had as applied already are not among them. */
  adopted: Migration[];
  /** What `up` would apply next. */
  pending: Migration[];
  /** The table of another tool that said it; it was only read. */
  table: string | null;
  /** Applied according to opsctl, and that table does not list it: opsctl applied it since, or the other tool rolled it back. */
  unlisted: Migration[];
  /** That tool keeps its last version only: what lies below it was taken as applied. */
  isGuessed: boolean;
}

/** Where a tool keeps its history unless it was told otherwise. */
const PEER_TABLES: Readonly<Record<Exclude<Format, "opsctl">, string>> = {
  "golang-migrate": "schema_migrations",
  dbmate: "schema_migrations",
  diesel: "__diesel_schema_migrations",
};

/**
 * Records every file up to a version as applied, or with `0` that none is. Said twice, the second changes nothing.
 * @throws OpsError `usage` for an unknown version, `integrity` when history says something else about one of the files
 */
export async function baselineAt(
  call: Call,
  target: MigrationTarget,
  source: Source,
  version: string,
  lockWaitMs: number,
): Promise<Baselined> {
  const last =
    version === NOTHING ? 0 : findVersion(source, entriesOf(source.migrations, []), version, "baseline").seq;
  const held = version === NOTHING ? [] : source.migrations.filter(({ seq }) => seq <= last);
  return settle(call, target, source, { held, isAll: true, table: null, isGuessed: false }, lockWaitMs);
}

/**
 * Records what the history of golang-migrate, dbmate or diesel says is applied. That history is only read. A file that opsctl has applied
 * since an earlier adoption stays applied.
 * @throws OpsError `usage` when the folder's layout is opsctl's own, `not_found` when the tool's table is not there, `failed` when the tool
 * broke off, `integrity` when it applied versions that have no file
 */
export async function baselineFromHistory(
  call: Call,
  target: MigrationTarget,
  source: Source,
  lockWaitMs: number,
): Promise<Baselined> {
  const { engine, format, title } = source;
  if (format === "opsctl") {
    throw usageError(
      `${title} has opsctl's own layout: no other tool keeps a history of it`,
      "name the folder of golang-migrate, dbmate or diesel with --dir, and the tool with --format",
    );
  }
  const peer = await target.peerHistory(call, format);
  if (peer === null) {
    const what =
      engine === "neo4j" ? "node :SchemaMigration" : `table ${PEER_TABLES[format]} with its columns`;
    throw new OpsError({
      code: "not_found",
      engine,
      message: `${format} has no history here: there is no ${what}`,
      hint: `is it this database, and that tool's folder? ${commandOf("baseline", source, "VERSION")} records files without it`,
    });
  }
  const held = heldBy(source, format, peer);
  const wanted = { held, isAll: false, table: peer.table, isGuessed: peer.lastOnly && held.length > 1 };
  return settle(call, target, source, wanted, lockWaitMs);
}

/** The files that a tool has applied. @throws OpsError `failed` when it broke off, `integrity` for versions without a file */
export function heldBy(source: Source, format: Format, peer: PeerHistory): Migration[] {
  if (peer.dirty) {
    throw new OpsError({
      code: "failed",
      engine: source.engine,
      message: `${format} broke off in version ${peer.versions[0] ?? "?"} (${peer.table} says dirty); nothing was recorded`,
      hint: "bring the database to one side of that file, tell the tool (`migrate force VERSION`), and try again",
    });
  }
  const byVersion = new Map(source.migrations.map((migration) => [migration.version, migration]));
  const byNumber = new Map(source.migrations.map((migration) => [migration.seq, migration]));
  const find = (version: string) =>
    byVersion.get(version) ??
    (format !== "diesel" && /^\d+$/.test(version) ? byNumber.get(Number(version)) : undefined);
  const lost = peer.versions.filter((version) => find(version) === undefined);
  if (lost.length > 0) {
    const more = lost.length > 5 ? ` and ${lost.length - 5} more` : "";
    throw new OpsError({
      code: "integrity",
      engine: source.engine,
      message: `${peer.table} has ${lost.length === 1 ? "a version" : "versions"} without a file in ${source.title}: ${lost.slice(0, 5).join(", ")}${more}; nothing was recorded`,
      hint: "put the files back: without them nobody can tell what the database holds",
    });
  }
  const applied = new Set(peer.versions.map((version) => find(version)!.seq));
  const last = Math.max(-1, ...applied);
  return source.migrations.filter(({ seq }) => (peer.lastOnly ? seq <= last : applied.has(seq)));
}

/** What the database holds, according to whoever asks for the baseline. */
interface Held {
  held: readonly Migration[];
  /** And nothing else of the folder. */
  isAll: boolean;
  table: string | null;
  isGuessed: boolean;
}

async function settle(
  call: Call,
  target: MigrationTarget,
  source: Source,
  wanted: Held,
  lockWaitMs: number,
): Promise<Baselined> {
  const ofSet = async () => (await target.history(call)).filter(({ set_name }) => set_name === source.set);
  let rows = await ofSet();
  let written = planBaseline(call, source, rows, wanted);
  if (written.length > 0) {
    await refuseNew(call, target, source);
    await target.prepare(call, [source.set], false);
    await target.exclusively(call, lockWaitMs, async () => {
      // another process may have written history while this one waited for the lock
      rows = await ofSet();
      written = planBaseline(call, source, rows, wanted);
      if (written.length > 0) await target.record(call, written);
    });
  }
  const versions = new Set(written.map(({ version }) => version));
  const adopted = source.migrations.filter(({ version }) => versions.has(version));
  const left = entriesOf(source.migrations, [...rows, ...written]);
  const pending = left.flatMap(({ state, migration }) =>
    migration && (state === "pending" || state === "reverted") ? [migration] : [],
  );
  const { table, isGuessed } = wanted;
  const listed = new Set(wanted.held.map(({ version }) => version));
  const unlisted = left.flatMap(({ state, migration, version }) =>
    migration && table !== null && state === "applied" && !listed.has(version) ? [migration] : [],
  );
  return { changed: written.length > 0, adopted, pending, table, unlisted, isGuessed };
}

/** What does not exist holds nothing: recording files as applied there would be untrue, and a typing error would make a database. */
async function refuseNew(call: Call, target: MigrationTarget, source: Source): Promise<void> {
  const [created] = (await target.prepare(call, [source.set], true)).filter(({ before }) => before === null);
  if (created === undefined) return;
  throw new OpsError({
    code: "not_found",
    engine: source.engine,
    message: `there is no ${created.name}: a baseline is about what a database holds`,
    hint: `check the name; ${commandOf("up", source)} makes it and applies the files`,
  });
}

/**
 * The rows that are missing in history.
 * @param rows history of the set
 * @throws OpsError `integrity` naming what history says otherwise
 */
export function planBaseline(
  call: Call,
  source: Source,
  rows: readonly HistoryRow[],
  { held, isAll }: Pick<Held, "held" | "isAll">,
): HistoryRow[] {
  const wanted = new Set(held.map(({ version }) => version));
  const entries = entriesOf(source.migrations, rows);
  refuseDisagreement(
    source,
    entries.filter((entry) => disagrees(entry, wanted.has(entry.version), isAll)),
  );
  if (held.length === 0) return rows.length === 0 ? [nothingRow(call, source)] : [];
  const missing = entries.filter(({ state, version }) => state === "pending" && wanted.has(version));
  return missing.map((entry) => {
    // rollbacks go by time, then by number: it was applied before what history has with higher numbers
    const later = rows.filter(({ seq }) => seq > entry.seq).map(({ applied_at }) => applied_at);
    return appliedRow(call, entry.migration!, Math.min(Date.now(), ...later));
  });
}

function disagrees({ state }: Entry, isHeld: boolean, isAll: boolean): boolean {
  if (state === "pending") return false;
  if (state === "applied") return !isHeld && isAll;
  return isHeld || state !== "reverted";
}

function refuseDisagreement(source: Source, entries: readonly Entry[]): void {
  const [first] = entries;
  if (first === undefined) return;
  const shown = entries.slice(0, 5).map(({ version, state }) => `${version} is ${state}`);
  const more = entries.length > 5 ? ` and ${entries.length - 5} more` : "";
  throw new OpsError({
    code: "integrity",
    engine: source.engine,
    message: `the history of ${source.title} says otherwise: ${shown.join(", ")}${more}; nothing was recorded`,
    hint: `${commandOf("status", source)} shows it; ${commandOf("repair", source, `${first.version} --mark applied`)} (or reverted) settles one version`,
  });
}

function nothingRow(call: Call, { set }: Source): HistoryRow {
  const nothing: Migration = {
    set,
    version: NOTHING,
    seq: 0,
    description: "baseline: nothing applied",
    up: { file: "", text: "", checksum: `sha256:${sha256("")}`, inTransaction: true },
    down: null,
  };
  return appliedRow(call, nothing, Date.now());
}
