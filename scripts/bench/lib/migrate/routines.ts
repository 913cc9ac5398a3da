/** Statements of a generated history that make views, functions, triggers and types. */
import { noun, plain, unique, withBody } from "./model.ts";
import type { Change } from "./tables.ts";

export const createView: Change = (random, schema) => {
  if (schema.tables.length === 0) return [];
  const table = random.pick(schema.tables);
  const columns = table.columns.slice(0, 3).map(({ name }) => name);
  const name = unique(schema, `${table.name}_recent`);
  for (const column of columns) table.used.add(column);
  schema.views.push(name);
  return [
    plain(
      `CREATE VIEW ${name} AS\nSELECT t.id, ${columns.map((column) => `t.${column}`).join(", ")}, t.created_at\n` +
        `FROM ${table.name} t\nWHERE t.created_at > now() - interval '30 days'\nORDER BY t.created_at DESC`,
    ),
  ];
};

export const dropView: Change = (_random, schema) => {
  const name = schema.views.shift();
  return name === undefined ? [] : [plain(`DROP VIEW ${name}`)];
};

/** A trigger that keeps `updated_at`, with its function. */
export const createTrigger: Change = (random, schema) => {
  if (schema.tables.length === 0) return [];
  const { name: table } = random.pick(schema.tables);
  const name = unique(schema, `${table}_touch`);
  return [
    withBody(
      `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n` +
        "  -- a row that did not change keeps its time; see above\n" +
        "  IF NEW IS DISTINCT FROM OLD THEN\n    NEW.updated_at := now();\n  END IF;\n  RETURN NEW;\nEND;\n$$",
    ),
    plain(
      `CREATE TRIGGER ${name}_before_update BEFORE UPDATE ON ${table}\n  FOR EACH ROW EXECUTE FUNCTION ${name}()`,
    ),
  ];
};

export const createFunction: Change = (random, schema) => {
  const name = unique(schema, `${noun(random)}_total`);
  return [
    withBody(
      `CREATE FUNCTION ${name}(price numeric, quantity integer, discount numeric DEFAULT 0)\nRETURNS numeric\n` +
        "LANGUAGE sql IMMUTABLE AS $body$\n" +
        "  SELECT round(price * quantity * (1 - discount / 100), 2);\n$body$",
    ),
    plain(`COMMENT ON FUNCTION ${name}(numeric, integer, numeric) IS 'Discount in per cent'`),
  ];
};

/** A column of an enumerated type, and one more value of it (which this file does not use). */
export const createEnum: Change = (random, schema) => {
  if (schema.tables.length === 0) return [];
  const table = random.pick(schema.tables);
  const name = unique(schema, `${noun(random)}_status`);
  table.columns.push({ name, type: "enum" });
  return [
    plain(`CREATE TYPE ${name} AS ENUM ('draft', 'active', 'suspended', 'closed')`),
    plain(`ALTER TABLE ${table.name} ADD COLUMN ${name} ${name} NOT NULL DEFAULT 'draft'`),
    plain(`ALTER TYPE ${name} ADD VALUE IF NOT EXISTS 'archived' AFTER 'closed'`),
  ];
};

/** A block that repairs data, as histories have them. */
export const doBlock: Change = (random, schema) => {
  if (schema.codes.length === 0) return [];
  const name = random.pick(schema.codes);
  return [
    withBody(
      `DO $$\nDECLARE\n  found record;\nBEGIN\n  FOR found IN SELECT code FROM ${name} ORDER BY code LOOP\n` +
        `    UPDATE ${name} SET label = trim(label) WHERE code = found.code;\n  END LOOP;\nEND\n$$`,
    ),
  ];
};
