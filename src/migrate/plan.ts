/** Which files `up` and `down` run. Pure: everything is refused here, before anything runs. */
import { OpsError, usageError } from "../errors.ts";
import { type Entry, inAppliedOrder, isPending, NOTHING } from "./history.ts";
import type { Format, HistoryRow, MigrationTarget, Script } from "./port.ts";
import type { Source } from "./source.ts";
import { executedChecksum } from "./stepwise.ts";

/** How far to go; neither: all of it (up), one file (down). */
export interface Extent {
  /** The last version that is applied afterwards; `0`: none. */
  to?: string | undefined;
  /** Number of files. */
  steps?: number | undefined;
  /** This version alone. */
  only?: string | undefined;
  /** Down: also when its file was edited since, as one does who is still writing it. */
  edited?: boolean | undefined;
}

/** One file to run. */
export interface Planned {
  entry: Entry;
  script: Script;
  /** Statements of it that are done. */
  from: number;
}

/** The command line that mends a set, for hints. */
export function commandOf(verb: string, { engine, flags }: Source, rest = ""): string {
  return ["opsctl migrate", verb, engine, rest, flags ?? ""].filter((part) => part !== "").join(" ");
}

/**
 * The files that `up` runs, in the order of their numbers.
 * @throws OpsError `integrity`: an applied file was edited or is gone · `unknown_outcome`: nobody knows whether a statement took effect ·
 * `usage`: an unknown version, an empty file, a statement that must not run
 */
export function planUp(
  source: Source,
  entries: readonly Entry[],
  target: Pick<MigrationTarget, "check" | "statements" | "repeatable">,
  extent: Extent,
): Planned[] {
  refuseProblems(source, entries);
  const rollback = entries.find(({ broken }) => broken === "down");
  if (rollback) throw brokenRollback(source, rollback);
  const pending = entries.filter(isPending);
  const until = extent.to === undefined ? undefined : seqOf(source, entries, extent.to);
  const reached = until === undefined ? pending : pending.filter(({ seq }) => seq <= until);
  const chosen = onlyThat(extent, reached).slice(0, extent.steps ?? reached.length);
  return chosen.map((entry) => {
    const script = entry.migration!.up;
    checkScript(script, source.format, target);
    return { entry, script, from: resumeAt(source, entry, script, target) };
  });
}

/**
 * The files that `down` runs, last applied first.
 * @throws OpsError as `planUp`; `usage` also when one of them cannot be rolled back
 */
export function planDown(
  source: Source,
  entries: readonly Entry[],
  target: Pick<MigrationTarget, "check" | "statements" | "repeatable">,
  extent: Extent,
): Planned[] {
  const broken = entries.find((entry) => entry.broken === "up");
  if (broken) throw brokenUp(source, broken);
  const applied = onlyThat(extent, inAppliedOrder(entries).reverse());
  const chosen =
    extent.to === undefined
      ? applied.slice(0, extent.steps ?? 1)
      : applied.slice(0, lastToStay(source, entries, applied, extent.to));
  refuseProblems(
    source,
    chosen.filter(({ state }) => !(extent.edited && state === "edited")),
  );
  const stuck = chosen.filter(({ migration }) => migration!.down === null);
  if (stuck.length > 0) {
    const names = listed(stuck.map(({ migration }) => migration!.up.file));
    throw usageError(
      `${names} ${stuck.length === 1 ? "has" : "have"} no script to roll ${stuck.length === 1 ? "it" : "them"} back; nothing was changed`,
      "write the missing down files, or choose a later version with --to",
    );
  }
  return chosen.map((entry) => {
    const script = entry.migration!.down!;
    checkScript(script, source.format, target);
    return { entry, script, from: resumeAt(source, entry, script, target) };
  });
}

function onlyThat({ only }: Extent, entries: readonly Entry[]): Entry[] {
  return entries.filter(({ version }) => only === undefined || version === only);
}

/** The entry of a version as a person writes it: `V003`, `3`, `003`, `2025-01-15-001`. @throws OpsError `usage` */
export function findVersion(source: Source, entries: readonly Entry[], text: string, flag = "--to"): Entry {
  const found =
    entries.find(({ version }) => version === text) ??
    // diesel's folders have hyphens, its versions none
    entries.find(({ version }) => source.format === "diesel" && version === text.replaceAll("-", "")) ??
    (/^V?\d{1,16}$/i.test(text)
      ? entries.find(({ seq }) => seq === Number(text.replace(/^v/i, "")))
      : undefined);
  if (found) return found;
  const known = entries.slice(-5).map(({ version }) => version);
  throw usageError(
    `${flag}: ${source.title} has no version "${text}"`,
    known.length === 0 ? "it has no files" : `its last versions are ${known.join(", ")}`,
  );
}

function seqOf(source: Source, entries: readonly Entry[], text: string): number {
  return text === NOTHING ? 0 : findVersion(source, entries, text).seq;
}

/** How many of the applied ones, last first, go when `text` shall be the last that stays. */
function lastToStay(
  source: Source,
  entries: readonly Entry[],
  applied: readonly Entry[],
  text: string,
): number {
  if (text === NOTHING) return applied.length;
  const { version } = findVersion(source, entries, text);
  const index = applied.findIndex((entry) => entry.version === version);
  if (index >= 0) return index;
  throw usageError(
    `--to: ${version} is not applied, so nothing can be rolled back to it`,
    commandOf("status", source),
  );
}

function checkScript(script: Script, format: Format, target: Pick<MigrationTarget, "check">): void {
  if (script.text.trim() === "") {
    throw usageError(
      `${script.file} is empty`,
      "write its statements, or delete it; a file of comments alone does nothing on purpose",
    );
  }
  target.check(script, format);
}

/** Where a script that was broken off goes on; 0 for all others. */
function resumeAt(
  source: Source,
  { row, broken, version }: Entry,
  script: Script,
  target: Pick<MigrationTarget, "statements" | "repeatable">,
): number {
  if (broken === null || row === undefined) return 0;
  const done = row.statement_index;
  const statements = target.statements(script.text);
  if (executedChecksum(statements, done) !== row.checksum) {
    throw new OpsError({
      code: "integrity",
      engine: source.engine,
      message: `${script.file}: ${done === 1 ? "its first statement has" : `its first ${done} statements have`} run, and ${done === 1 ? "it was" : "they were"} edited since`,
      hint: `write them as they were, or ${commandOf("repair", source, `${version} --mark applied`)} when the database is as the file wants it`,
    });
  }
  const next = statements[done];
  if (row.state === "running" && next && !target.repeatable(next))
    throw inDoubt(source, version, script, row, statements.length);
  return done;
}

function inDoubt(source: Source, version: string, script: Script, row: HistoryRow, total: number): OpsError {
  const place = `statement ${row.statement_index + 1} of ${total}`;
  return new OpsError({
    code: "unknown_outcome",
    engine: source.engine,
    message: `${script.file} was broken off during ${place}, which may or may not have taken effect`,
    hint:
      `look; then ${commandOf("repair", source, `${version} --retry`)} runs it again from there ` +
      `(--statement ${row.statement_index + 2} leaves it out), and --mark applied takes the whole file as done`,
  });
}

function brokenRollback(source: Source, { version, row }: Entry): OpsError {
  return new OpsError({
    code: "failed",
    engine: source.engine,
    message: `the rollback of ${version} (${row!.file}) was broken off after ${row!.statement_index} statements`,
    hint: `${commandOf("down", source)} goes on with it`,
  });
}

function brokenUp(source: Source, { version, row }: Entry): OpsError {
  return new OpsError({
    code: "failed",
    engine: source.engine,
    message: `${version} (${row!.file}) was broken off after ${row!.statement_index} statements: its rollback fits the whole file`,
    hint: `${commandOf("up", source)} completes it; or ${commandOf("repair", source, `${version} --mark applied`)}, then roll back`,
  });
}

/** @throws OpsError `integrity` when applied files are not there as they were applied */
function refuseProblems(source: Source, entries: readonly Entry[]): void {
  const missing = entries.filter(({ state }) => state === "missing");
  if (missing.length > 0) {
    throw new OpsError({
      code: "integrity",
      engine: source.engine,
      message: `applied${on(source)}, but not in ${source.place}: ${listed(missing.map(({ row }) => row!.file))}`,
      hint: "put the files back: without them nobody can tell what the database holds",
    });
  }
  const [first, ...more] = entries.filter(({ state }) => state === "edited");
  if (first === undefined) return;
  const others =
    more.length === 0 ? "" : ` (${more.length} more: ${listed(more.map(({ version }) => version))})`;
  throw new OpsError({
    code: "integrity",
    engine: source.engine,
    message:
      `${first.migration!.up.file} differs from the file that was applied${on(source)}: ` +
      `history has ${first.row!.checksum}, the file is ${first.migration!.up.checksum}${others}`,
    hint:
      "restore the file as it was applied, changes belong into a new version; " +
      `${commandOf("repair", source, `${first.version} --mark applied`)} takes it as it is`,
  });
}

function on({ store }: Source): string {
  return store === undefined ? "" : ` on ${store}`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
