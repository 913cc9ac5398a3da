/**
 * dbmate: one file `20240101120000_create_users.sql` with a section for each direction (github.com/amacneil/dbmate,
 * pkg/dbmate/migration.go, and pkg/dbmate/db.go for the names).
 */
import { usageError } from "../../errors.ts";
import { type FormatReader, normalizeText, scriptOf } from "./format.ts";
import { readText } from "./list.ts";
import { wordsOf } from "./slug.ts";

/** dbmate itself wants digits and `.sql`; other separators than `_` only after many digits, where no date of opsctl is meant. */
const NAME = /^(?:(\d+)(?:_(.*))?|(\d{8,})[-.](.*))\.sql$/;
const MARKER = /^--\s*migrate:(up|down)(?:\s+(.*))?$/;

export const dbmateFormat: FormatReader = {
  format: "dbmate",
  unit: "file",
  sqlOnly: true,
  parse(name) {
    const match = NAME.exec(name);
    if (!match) return null;
    const version = match[1] ?? match[3]!;
    const description = wordsOf(match[2] ?? match[4] ?? "");
    return { name, version, seq: Number(version), description, direction: "both", extension: "sql" };
  },
  nameOf: (version, description) => `${version}_${description}.sql`,
  read: (folder, named) =>
    named.map(({ name, version, seq, description }) => {
      const { up, down } = sectionsOf(`${folder.shown}/${name}`, normalizeText(readText(folder, name)));
      return {
        version,
        seq,
        description,
        up: scriptOf(folder, name, up.body, up.inTransaction, up.firstLine),
        down: down
          ? scriptOf(folder, `${name} (migrate:down)`, down.body, down.inTransaction, down.firstLine)
          : null,
      };
    }),
};

/** What a new file holds. */
export const DBMATE_TEMPLATE = "-- migrate:up\n\n\n-- migrate:down\n\n";

interface Section {
  /** Below its marker. */
  body: string;
  /** 0-based line of the file. */
  firstLine: number;
  inTransaction: boolean;
}

/** @throws OpsError `usage` for a file that dbmate would not run, or that its versions would run in different ways */
function sectionsOf(shown: string, text: string): { up: Section; down: Section | null } {
  const lines = text.split("\n");
  const markers = lines.flatMap((line, index) => {
    const match = MARKER.exec(line);
    return match ? [{ index, direction: match[1], options: match[2] ?? "" }] : [];
  });
  const [up, down, more] = markers;
  if (up?.direction !== "up") {
    throw usageError(
      markers.length === 0
        ? `${shown}: there is no line "-- migrate:up"`
        : `${shown}:${up!.index + 1}: migrate:down stands first`,
      'dbmate wants "-- migrate:up" before the statements and "-- migrate:down" below; another layout: --format opsctl',
    );
  }
  // older dbmate versions take the first of each and run the rest as part of it, later ones run several sections
  const surplus = down?.direction === "up" ? down : more;
  if (surplus) {
    throw usageError(
      `${shown}:${surplus.index + 1}: a second section migrate:${surplus.direction}`,
      "make it a file of its own",
    );
  }
  const early = lines.slice(0, up.index).findIndex((line) => !/^\s*(--.*)?$/.test(line));
  if (early >= 0)
    throw usageError(`${shown}:${early + 1}: a statement before "-- migrate:up"`, "move it below that line");
  const section = (from: number, to: number, options: string): Section => ({
    body: lines.slice(from + 1, to).join("\n"),
    firstLine: from + 1,
    inTransaction: isTransactional(`${shown}:${from + 1}`, options),
  });
  const last = down ? section(down.index, lines.length, down.options) : null;
  return {
    up: section(up.index, down?.index ?? lines.length, up.options),
    down: last?.body.trim() === "" ? null : last,
  };
}

/** `transaction:false`; like dbmate, other options are left alone. */
function isTransactional(place: string, options: string): boolean {
  const value = /(?:^|\s)transaction:(\S*)/.exec(options)?.[1];
  if (value === undefined || value === "true") return true;
  if (value === "false") return false;
  throw usageError(`${place}: transaction:${value}`, "it is transaction:true or transaction:false");
}
