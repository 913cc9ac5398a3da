/** The same files in the layouts of the tools that are compared. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GeneratedFile } from "./history.ts";
import type { Statement } from "./model.ts";

/** Writes files into a folder, which it makes. */
export type Layout = (folder: string, files: readonly GeneratedFile[]) => void;

const VERSION_EPOCH = Date.UTC(2023, 0, 1);
const DAY_MS = 86_400_000;

const sql = ({ statements }: GeneratedFile) => statements.map(({ text }) => `${text};\n`).join("\n");
const padded = ({ number }: GeneratedFile, digits: number) => String(number).padStart(digits, "0");

/** `20230102000000`: a file a day. */
function timestamp({ number }: GeneratedFile): string {
  const time = new Date(VERSION_EPOCH + number * DAY_MS).toISOString();
  return time.slice(0, 19).replace(/[-T:]/g, "");
}

function layout(
  nameOf: (file: GeneratedFile) => string,
  textOf: (file: GeneratedFile) => string = sql,
): Layout {
  return (folder, files) => {
    mkdirSync(folder, { recursive: true });
    for (const file of files) writeFileSync(join(folder, nameOf(file)), textOf(file));
  };
}

export const opsctl = layout((file) => `V${padded(file, 3)}-${file.name.replaceAll("_", "-")}-up.sql`);
export const plainSql = layout((file) => `${padded(file, 3)}_${file.name}.sql`);
export const golangMigrate = layout((file) => `${padded(file, 6)}_${file.name}.up.sql`);
export const dbmate = layout(
  (file) => `${timestamp(file)}_${file.name}.sql`,
  (file) => `-- migrate:up\n${sql(file)}\n-- migrate:down\n`,
);
export const nodePgMigrate = layout(
  (file) => `${timestamp(file)}_${file.name.replaceAll("_", "-")}.sql`,
  (file) => `-- Up Migration\n${sql(file)}\n-- Down Migration\n`,
);
/** It splits at each `;` that ends a line unless a statement with a body is marked. */
export const goose = layout(
  (file) => `${padded(file, 5)}_${file.name}.sql`,
  (file) => `-- +goose Up\n${file.statements.map(gooseStatement).join("\n")}`,
);

function gooseStatement({ text, hasBody }: Statement): string {
  return hasBody ? `-- +goose StatementBegin\n${text};\n-- +goose StatementEnd\n` : `${text};\n`;
}

/** One psql script that runs each file in a transaction of its own. */
export function psqlScript(names: readonly string[]): string {
  return names.map((name) => `BEGIN;\n\\ir ${name}\nCOMMIT;\n`).join("");
}
