import { escapeCell } from "./escape.ts";
import type { Io, Style } from "./io.ts";

export interface Column<Row> {
  header: string;
  value(row: Row): string | number | boolean | null;
  /** Only on a terminal: how the value is shown there when it differs from the raw one (ages, ticks). */
  shown?(row: Row): string;
  style?(row: Row): Style | undefined;
  align?: "right";
}

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
    head: columns.map(({ header }) => io.style("bold", header)),
    chars: BORDERLESS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
    colAligns: columns.map(({ align }) => align ?? "left"),
  });
  const widest = Math.max(24, Math.floor((io.columns ?? 80) / 2));
  for (const row of rows) {
    table.push(
      columns.map((column) => {
        const text = shorten(column.shown ? escapeCell(column.shown(row)) : cell(column.value(row)), widest);
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

function shorten(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join("")}…`;
}

const BORDERLESS = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle"
    .split(" ")
    .map((name) => [name, ""]),
);
