import { escapeCell } from "./escape.ts";
import type { Io, Style } from "./io.ts";

export interface Column<Row> {
  header: string;
  value(row: Row): string | number | boolean | null;
  /** Only on a terminal: how the value is shown there when it differs from the raw one (ages, ticks). */
  shown?(row: Row): string;
  style?(row: Row): Style | undefined;
  align?: "right";
  /** Shortened when the terminal is too narrow; a pipe always gets it whole. */
  flexible?: true;
}

/** Columns between two cells, and the least a flexible column keeps. */
const GAP = 2;
const NARROWEST = 12;

/**
 * Prints rows: on a terminal as a borderless table with a header, in a pipe as tab-separated lines without header, colour or shortening.
 * Columns are only ever added at the end.
 */
export async function printTable<Row>(
  io: Io,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Promise<void> {
  if (!io.stdoutIsTty) {
    for (const row of rows) await io.out(`${columns.map((column) => cell(column.value(row))).join("\t")}\n`);
    return;
  }
  if (rows.length === 0) return;
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    // columns without names need no line for them
    head: columns.some(({ header }) => header !== "")
      ? columns.map(({ header }) => io.style("bold", header))
      : [],
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": GAP },
    colAligns: columns.map(({ align }) => align ?? "left"),
  });
  const cells = rows.map((row) =>
    columns.map((column) => (column.shown ? escapeCell(column.shown(row)) : cell(column.value(row)))),
  );
  const widths = fitWidths(columns, cells, io.columns ?? 80);
  for (const [index, row] of rows.entries()) {
    table.push(
      columns.map((column, nth) => {
        const text = shorten(cells[index]![nth]!, widths[nth]!);
        const style = column.style?.(row);
        return style ? io.style(style, text) : text;
      }),
    );
  }
  const lines = table.toString().split("\n");
  await io.out(`${lines.map((line) => line.trimEnd()).join("\n")}\n`);
}

function cell(value: string | number | boolean | null): string {
  return value === null ? "" : escapeCell(String(value));
}

/** Widths that fit the terminal: the widest flexible column gives way first. */
function fitWidths<Row>(
  columns: readonly Column<Row>[],
  cells: readonly string[][],
  width: number,
): number[] {
  const widths = columns.map(({ header }, nth) =>
    Math.max(header.length, ...cells.map((row) => [...row[nth]!].length)),
  );
  let excess = widths.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  while (excess > 0) {
    const flexible = columns.flatMap((column, nth) =>
      column.flexible && widths[nth]! > NARROWEST ? [nth] : [],
    );
    if (flexible.length === 0) break;
    const widest = flexible.reduce((best, nth) => (widths[nth]! > widths[best]! ? nth : best));
    widths[widest]! -= 1;
    excess -= 1;
  }
  return widths;
}

function shorten(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}

const BORDERLESS = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle"
    .split(" ")
    .map((name) => [name, ""]),
);
