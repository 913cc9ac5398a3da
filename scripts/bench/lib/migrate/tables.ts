/** Statements of a generated history that make and change tables. */
import type { Random } from "../random.ts";
import {
  type Column,
  columnsOf,
  newColumn,
  noun,
  plain,
  type Schema,
  type Statement,
  type Table,
  unique,
} from "./model.ts";

/** Makes the statements of one change; none when the schema has nothing for it. */
export type Change = (random: Random, schema: Schema) => Statement[];

const DEFAULTS: Readonly<Record<string, string>> = {
  text: "''",
  "varchar(120)": "'none'",
  integer: "0",
  bigint: "0",
  "numeric(12,2)": "0.00",
  boolean: "false",
  jsonb: "'{}'::jsonb",
  "text[]": "'{}'",
};

/** A table with constraints, foreign keys to those before it, two or three indexes, and comments. */
export const createTable: Change = (random, schema) => {
  const name = unique(schema, `${noun(random)}s`);
  const table: Table = { name, columns: [], used: new Set() };
  for (let left = 4 + random.below(6); left > 0; left -= 1) table.columns.push(newColumn(random, table));
  const lines = ["  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", ...table.columns.map(definition)];
  for (let left = Math.min(random.below(3), schema.tables.length); left > 0; left -= 1) {
    const parent = random.pick(schema.tables);
    const key = `${parent.name}_id`;
    if (table.columns.some((column) => column.name === key)) continue;
    lines.push(`  ${key} bigint REFERENCES ${parent.name} (id) ON DELETE CASCADE`);
    table.columns.push({ name: key, type: "key" });
  }
  lines.push("  created_at timestamptz NOT NULL DEFAULT now()", "  updated_at timestamptz");
  const [number] = columnsOf(table, "integer", "bigint", "numeric");
  if (number) lines.push(`  CONSTRAINT ${name}_${number.name}_positive CHECK (${use(table, number)} >= 0)`);
  schema.tables.push(table);
  return [
    plain(`CREATE TABLE ${name} (\n${lines.join(",\n")}\n)`),
    ...columnsOf(table, "key").map((key) =>
      plain(`CREATE INDEX ${unique(schema, `${name}_ix`)} ON ${name} (${use(table, key)})`),
    ),
    ...indexOf(random, schema, table),
    plain(`COMMENT ON TABLE ${name} IS 'One ${name.replace(/s_\d+$/, "")} a row; rows are never reused'`),
  ];
};

function definition({ name, type }: Column): string {
  const value = DEFAULTS[type];
  return `  ${name} ${type}${value === undefined ? "" : ` NOT NULL DEFAULT ${value}`}`;
}

function use(table: Table, { name }: Column): string {
  table.used.add(name);
  return name;
}

/** A code table, which later files fill. */
export const createCodes: Change = (random, schema) => {
  const name = unique(schema, `${noun(random)}_states`);
  schema.codes.push(name);
  return [
    plain(
      `CREATE TABLE ${name} (\n  code text PRIMARY KEY CHECK (code = lower(code)),\n  label text NOT NULL,\n` +
        "  position integer NOT NULL DEFAULT 0\n)",
    ),
  ];
};

export const insertCodes: Change = (random, schema) => {
  if (schema.codes.length === 0) return [];
  const name = random.pick(schema.codes);
  const rows = Array.from({ length: 2 + random.below(6) }, () => {
    const code = unique(schema, noun(random));
    return `  ('${code}', 'The ${code.replaceAll("_", " ")}; it''s shown as it is', ${random.below(100)})`;
  });
  return [plain(`INSERT INTO ${name} (code, label, position) VALUES\n${rows.join(",\n")}`)];
};

export const updateCodes: Change = (random, schema) => {
  if (schema.codes.length === 0) return [];
  const name = random.pick(schema.codes);
  return [plain(`UPDATE ${name} SET position = position + 10 WHERE position < ${10 + random.below(90)}`)];
};

/** Changes of a table that is there; nothing while there is none. */
function onTable(change: (random: Random, schema: Schema, table: Table) => Statement[]): Change {
  return (random, schema) =>
    schema.tables.length === 0 ? [] : change(random, schema, random.pick(schema.tables));
}

export const addColumn = onTable((random, _schema, table) => {
  const column = newColumn(random, table);
  table.columns.push(column);
  return [plain(`ALTER TABLE ${table.name} ADD COLUMN ${definition(column).trim()}`)];
});

export const addForeignKey = onTable((random, schema, table) => {
  const parent = random.pick(schema.tables);
  const column = { name: unique(schema, `${parent.name}_id`), type: "key" };
  const constraint = `${column.name}_fkey`;
  table.columns.push(column);
  return [
    plain(`ALTER TABLE ${table.name} ADD COLUMN ${use(table, column)} bigint`),
    plain(
      `ALTER TABLE ${table.name}\n  ADD CONSTRAINT ${constraint} FOREIGN KEY (${column.name})\n` +
        `  REFERENCES ${parent.name} (id) NOT VALID`,
    ),
    plain(`ALTER TABLE ${table.name} VALIDATE CONSTRAINT ${constraint}`),
    plain(`CREATE INDEX ${column.name}_ix ON ${table.name} (${column.name})`),
  ];
});

export const addCheck = onTable((random, schema, table) => {
  const texts = columnsOf(table, "text", "varchar").filter(({ type }) => type !== "text[]");
  if (texts.length === 0) return [];
  const name = use(table, random.pick(texts));
  const constraint = unique(schema, `${table.name}_${name}_length`);
  return [
    plain(`ALTER TABLE ${table.name} ADD CONSTRAINT ${constraint} CHECK (char_length(${name}) <= 400)`),
  ];
});

export const changeDefault = onTable((random, _schema, table) => {
  const numbers = columnsOf(table, "integer", "bigint", "numeric");
  if (numbers.length === 0) return [];
  const { name } = random.pick(numbers);
  return [plain(`ALTER TABLE ${table.name} ALTER COLUMN ${name} SET DEFAULT ${1 + random.below(9)}`)];
});

/** B-tree, partial, expression or GIN index, as the columns allow. */
function indexOf(random: Random, schema: Schema, table: Table): Statement[] {
  const { name: on } = table;
  const candidates = table.columns.filter(({ type }) => type !== "key");
  if (candidates.length === 0) return [];
  const column = random.pick(candidates);
  const name = unique(schema, `${on}_${column.name}_ix`);
  const field = use(table, column);
  schema.indexes.push(name);
  if (column.type === "jsonb" || column.type === "text[]")
    return [plain(`CREATE INDEX ${name} ON ${on} USING gin (${field})`)];
  if (column.type === "text") return [plain(`CREATE INDEX ${name} ON ${on} (lower(${field}))`)];
  if (column.type === "boolean") return [plain(`CREATE INDEX ${name} ON ${on} (created_at) WHERE ${field}`)];
  return [plain(`CREATE INDEX ${name} ON ${on} (${field}, created_at DESC)`)];
}

export const createIndex = onTable(indexOf);

export const dropIndex: Change = (_random, schema) => {
  const name = schema.indexes.shift();
  return name === undefined ? [] : [plain(`DROP INDEX ${name}`)];
};

export const renameColumn = onTable((random, schema, table) => {
  const free = table.columns.filter(({ name }) => !table.used.has(name));
  if (free.length === 0) return [];
  const column = random.pick(free);
  const before = column.name;
  column.name = unique(schema, before);
  return [plain(`ALTER TABLE ${table.name} RENAME COLUMN ${before} TO ${column.name}`)];
});

export const renameTable = onTable((random, schema, table) => {
  const before = table.name;
  table.name = unique(schema, `${noun(random)}s`);
  return [plain(`ALTER TABLE ${before} RENAME TO ${table.name}`)];
});

export const dropColumn = onTable((random, _schema, table) => {
  const free = table.columns.filter(({ name }) => !table.used.has(name));
  if (free.length < 3) return [];
  const { name } = random.pick(free);
  table.columns = table.columns.filter((column) => column.name !== name);
  return [plain(`ALTER TABLE ${table.name} DROP COLUMN ${name}`)];
});

export const addComment = onTable((random, _schema, table) => {
  const { name } = random.pick(table.columns);
  return [plain(`COMMENT ON COLUMN ${table.name}.${name} IS 'Set once; see the handbook (§ ${name})'`)];
});

export const grant = onTable((_random, _schema, { name }) => [
  plain(`REVOKE ALL ON ${name} FROM PUBLIC`),
  plain(`GRANT SELECT ON ${name} TO PUBLIC`),
]);
