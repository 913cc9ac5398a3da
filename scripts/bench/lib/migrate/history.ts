/** Generated histories of migrations: the same for the same seed. */
import { createRandom, type Random } from "../random.ts";
import type { Schema, Statement } from "./model.ts";
import * as routines from "./routines.ts";
import * as tables from "./tables.ts";

/** `heavy`: several changes a file, tables with their indexes, functions, views. `light`: one small change a file. */
export type Shape = "heavy" | "light";

export interface GeneratedFile {
  /** From 1. */
  number: number;
  /** Words joined by `_`. */
  name: string;
  statements: Statement[];
}

/** How often each change comes, in relation to the others. */
const WEIGHTS: Readonly<Record<Shape, readonly (readonly [string, tables.Change, number])[]>> = {
  heavy: [
    ["create_table", tables.createTable, 22],
    ["create_codes", tables.createCodes, 4],
    ["add_column", tables.addColumn, 16],
    ["add_foreign_key", tables.addForeignKey, 10],
    ["add_check", tables.addCheck, 6],
    ["change_default", tables.changeDefault, 3],
    ["create_index", tables.createIndex, 10],
    ["drop_index", tables.dropIndex, 2],
    ["create_view", routines.createView, 6],
    ["drop_view", routines.dropView, 1],
    ["create_trigger", routines.createTrigger, 6],
    ["create_function", routines.createFunction, 4],
    ["create_enum", routines.createEnum, 4],
    ["repair_data", routines.doBlock, 2],
    ["seed", tables.insertCodes, 4],
    ["rename_column", tables.renameColumn, 2],
    ["rename_table", tables.renameTable, 1],
    ["drop_column", tables.dropColumn, 2],
    ["grant", tables.grant, 2],
  ],
  light: [
    ["create_table", tables.createTable, 8],
    ["create_codes", tables.createCodes, 3],
    ["add_column", tables.addColumn, 30],
    ["add_check", tables.addCheck, 6],
    ["change_default", tables.changeDefault, 8],
    ["create_index", tables.createIndex, 10],
    ["drop_index", tables.dropIndex, 2],
    ["create_view", routines.createView, 2],
    ["create_function", routines.createFunction, 2],
    ["seed", tables.insertCodes, 14],
    ["update_codes", tables.updateCodes, 8],
    ["rename_column", tables.renameColumn, 4],
    ["rename_table", tables.renameTable, 1],
    ["drop_column", tables.dropColumn, 3],
    ["comment", tables.addComment, 8],
    ["grant", tables.grant, 4],
  ],
};

/** Changes of one file, at most. */
const CHANGES: Readonly<Record<Shape, number>> = { heavy: 5, light: 2 };

/** `count` files that run one after another on an empty database. */
export function generateHistory(shape: Shape, count: number, seed = 1): GeneratedFile[] {
  const random = createRandom(seed);
  const schema: Schema = { tables: [], codes: [], views: [], indexes: [], count: 0 };
  return Array.from({ length: count }, (_, index) => {
    const wanted = 1 + random.below(CHANGES[shape]);
    const changes = Array.from({ length: wanted }, () => oneChange(random, schema, shape));
    return {
      number: index + 1,
      name: changes[0]!.name,
      statements: changes.flatMap(({ statements }) => statements),
    };
  });
}

/** A change for which the schema has something to change. */
function oneChange(random: Random, schema: Schema, shape: Shape): { name: string; statements: Statement[] } {
  for (;;) {
    const [name, change] = weighted(random, WEIGHTS[shape]);
    const statements = change(random, schema);
    if (statements.length > 0) return { name, statements };
  }
}

function weighted(random: Random, list: (typeof WEIGHTS)[Shape]) {
  let left = random.below(list.reduce((sum, [, , weight]) => sum + weight, 0));
  return list.find(([, , weight]) => {
    left -= weight;
    return left < 0;
  })!;
}
