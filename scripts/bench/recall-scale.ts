/**
 * `recall` and `fixes import` in large stores, beside bare programs in the same run:
 *
 *   npm run bench:recall-scale [-- --rows 100000,1000000] [--postgres] [--minisearch-up-to 100000]
 *
 * Fixes of 40 words (lib/scale/markov.ts); queries of 4 to 12 words of known fixes. --postgres adds PostgreSQL at DATABASE_URL, in a
 * database of its own. minisearch keeps its index in memory and makes it at each start: 3 GB and minutes for a million. Leaves nothing.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { interruptionSignal } from "./interruption.ts";
import { recallDev } from "./lib/dataset.ts";
import { inFolder } from "./lib/opsctl-recall.ts";
import { Language } from "./lib/scale/markov.ts";
import { importTable, searchTable, startTable } from "./lib/scale/report.ts";
import { type Measured, measure, QUERIES } from "./lib/scale/run.ts";
import { type FreshDatabase, freshDatabase } from "./lib/servers.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000,1000000" },
    postgres: { type: "boolean" },
    "minisearch-up-to": { type: "string", default: "100000" },
  },
});
const signal = interruptionSignal();
const language = new Language(recallDev()[0]!.reports);
const measured: Measured[] = [];
await inFolder(async (folder) => {
  for (const rows of values.rows.split(",").map(Number)) {
    process.stderr.write(`${rows} fixes …\n`);
    measured.push(await onDatabase((postgresUrl) => measureRows(rows, folder, postgresUrl)));
  }
});
console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}, fixes of 40 words.\n`);
console.log(`${importTable(measured)}\n`);
console.log(
  `${QUERIES} queries of 4 to 12 words of a known fix, each over a connection of its own, in turn.\n`,
);
console.log(`${searchTable(measured)}\n`);
console.log(startTable(measured));

function measureRows(rows: number, folder: string, postgresUrl: string | undefined): Promise<Measured> {
  const withMinisearch = rows <= Number(values["minisearch-up-to"]);
  return measure({ rows, language, postgresUrl, withMinisearch }, folder, signal);
}

/** With --postgres on a fresh database, which is dropped afterwards. */
async function onDatabase<T>(work: (url: string | undefined) => Promise<T>): Promise<T> {
  if (!values.postgres) return work(undefined);
  const server = process.env["DATABASE_URL"];
  if (server === undefined) throw new Error("--postgres needs DATABASE_URL");
  const database: FreshDatabase = await freshDatabase(server);
  try {
    return await work(database.url);
  } finally {
    await database.drop();
  }
}
