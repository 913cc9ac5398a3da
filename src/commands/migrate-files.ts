/** `migrate new` and `migrate dump`: files that opsctl writes. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type * as v from "valibot";
import type { dumped, newMigration } from "../contract/migrate.ts";
import { OpsError, usageError } from "../errors.ts";
import { sha256 } from "../hash.ts";
import { createMigration } from "../migrate/create.ts";
import type { MigrationTarget } from "../migrate/port.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import { publishFile } from "../publish.ts";
import type { Context } from "./command.ts";
import { engineNames } from "./engines.ts";
import {
  folderOf,
  formatOf,
  refuseEmpty,
  type SourceOptions,
  shownFolder,
  storesOf,
} from "./migrate-sources.ts";

export async function create(context: Context, given: string[], { dir, format = "auto" }: SourceOptions) {
  refuseEmpty({ dir });
  const [name, ...words] = given as [string, ...string[]];
  const [engine, ...more] = engineNames([name], ["neo4j", "postgres", "redis", "sqlite"]);
  if (engine === undefined || more.length > 0)
    throw usageError("`all` has no folder of migrations", "name one engine");
  const path = dir === undefined ? folderOf(context, engine) : resolve(context.app.config.cwd, dir);
  const shown = dir ?? shownFolder(context, engine);
  const made = await createMigration(engine, path, shown, formatOf(format), words.join(" "), new Date());
  const data: v.InferOutput<typeof newMigration> = { engine, ...made };
  return { data, render: (io: Io) => io.out(made.files.map((file) => `${escapeText(file)}\n`).join("")) };
}

export async function dump(
  context: Context,
  given: string[],
  options: { output?: string; database?: string },
) {
  const { store, dump: read } = await dumpable(context, given, options.database);
  const schema = await read(context.call);
  const output = options.output === "-" ? undefined : options.output;
  if (output !== undefined) await writeDump(resolve(context.app.config.cwd, output), output, schema);
  const data: v.InferOutput<typeof dumped> = {
    engine: store.engine,
    target: store.target.shown,
    sha256: sha256(schema),
    schema,
    file: output ?? null,
  };
  return {
    data,
    render: (io: Io) =>
      output === undefined
        ? io.out(io.stdoutIsTty ? escapeText(schema) : schema)
        : io.note(`schema written to ${output}`),
  };
}

async function writeDump(path: string, shown: string, schema: string): Promise<void> {
  try {
    await publishFile(path, schema);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw usageError(
      `--output: ${shown} cannot be written (${code})`,
      "name a file in a folder that is there",
    );
  }
}

async function dumpable(context: Context, given: string[], database: string | undefined) {
  const stores = storesOf(context, given, database);
  const candidates = given.length > 0 ? stores : stores.filter(({ engine }) => engine !== "redis");
  const [store, ...more] = candidates;
  if (store === undefined || more.length > 0) {
    const names = candidates.map(({ engine }) => engine).join(", ");
    throw usageError(
      `one schema is dumped at a time${names && `: ${names}`}`,
      "name postgres, neo4j or sqlite",
    );
  }
  const target = await store.open();
  if (target.dump) return { store, dump: target.dump.bind(target) };
  throw usageError(`${store.engine} has no schema to dump`, "use postgres, neo4j or sqlite");
}

/** Whether the schema differs from a file of `migrate dump`. @throws OpsError `usage` when the file cannot be read */
export async function compareSchema(
  { app, call, io }: Context,
  target: MigrationTarget,
  file: string,
): Promise<boolean> {
  const wanted = readDump(resolve(app.config.cwd, file), file);
  if (!target.dump)
    throw new OpsError({ code: "usage", message: `${target.engine} has no schema to compare` });
  const found = await target.dump(call);
  if (found === wanted) return false;
  for (const line of difference(wanted, found)) io.note(line);
  return true;
}

function readDump(path: string, shown: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw usageError(
      `--drift: ${shown} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      "opsctl migrate dump --output FILE writes one",
    );
  }
}

/** Lines shown of each side. */
const SHOWN = 20;

/** Lines that only one side has, those of the file with `-`, those of the server with `+`. */
function difference(wanted: string, found: string): string[] {
  const only = (text: string, other: string, sign: string) => {
    const known = new Set(other.split("\n"));
    const lines = text.split("\n").filter((line) => !known.has(line));
    const more = lines.length > SHOWN ? [`${sign} … ${lines.length - SHOWN} more lines`] : [];
    return [...lines.slice(0, SHOWN).map((line) => `${sign} ${line}`), ...more];
  };
  return [...only(wanted, found, "-"), ...only(found, wanted, "+")];
}
