/** What a generated history knows of the schema that it has made so far. */
import type { Random } from "../random.ts";

export interface Column {
  name: string;
  type: string;
}

export interface Table {
  name: string;
  columns: Column[];
  /** Columns that a view, an index or a constraint reads: they are neither dropped nor renamed. */
  used: Set<string>;
}

export interface Schema {
  tables: Table[];
  /** Code tables with the columns (code, label, position), which seed rows go to. */
  codes: string[];
  /** Views that nothing depends on. */
  views: string[];
  /** Indexes that may be dropped. */
  indexes: string[];
  /** Numbers the names. */
  count: number;
}

/** One statement of a file, without its `;`. `hasBody`: it holds `$$`, which some tools must be told. */
export interface Statement {
  text: string;
  hasBody: boolean;
}

export function plain(text: string): Statement {
  return { text, hasBody: false };
}

export function withBody(text: string): Statement {
  return { text, hasBody: true };
}

const NOUNS = (
  "account address audit batch booking branch campaign carrier claim comment contract coupon customer delivery " +
  "device discount document employee event feature gateway holding incident invoice item journal label ledger " +
  "location membership message notification offer order parcel payment permission plan price product project " +
  "quote receipt refund region report reservation review role schedule session shipment subscription supplier " +
  "task team ticket transfer user vendor voucher warehouse webhook zone"
).split(" ");
const FIELDS: Readonly<Record<string, string>> = {
  text: "body channel city comment description email external_ref locale note origin reason slug street subject title url",
  "varchar(120)": "code country currency kind name phone source state weight_unit",
  integer: "count position priority quantity version",
  bigint: "revision size_bytes",
  "numeric(12,2)": "amount balance price rate score total",
  boolean: "is_active is_archived is_hidden is_test",
  timestamptz: "closed_at confirmed_at deleted_at expires_at seen_at",
  date: "starts_on valid_until",
  uuid: "correlation_id external_id",
  jsonb: "metadata payload settings",
  "text[]": "aliases flags tags",
};
const COLUMNS: readonly Column[] = Object.entries(FIELDS).flatMap(([type, names]) =>
  names.split(" ").map((name) => ({ name, type })),
);

/** A name that no other object of the history has. */
export function unique(schema: Schema, base: string): string {
  schema.count += 1;
  return `${base}_${schema.count}`;
}

export function noun(random: Random): string {
  return random.pick(NOUNS);
}

/** A column that the table does not have yet. */
export function newColumn(random: Random, table: Table): Column {
  const free = COLUMNS.filter((column) => table.columns.every(({ name }) => name !== column.name));
  return free.length > 0 ? { ...random.pick(free) } : { name: `extra_${table.columns.length}`, type: "text" };
}

/** Columns of a type that starts so. */
export function columnsOf(table: Table, ...types: string[]): Column[] {
  return table.columns.filter((column) => types.some((type) => column.type.startsWith(type)));
}
