/**
 * A process that works on a SQLite file: `sqlite-runner.ts hold FILE` takes the lock of migrations and keeps it until stdin ends;
 * `sqlite-runner.ts rounds FILE COUNT` takes it again and again, and fails when it is not alone; `sqlite-runner.ts history FILE` prints the
 * history's versions.
 */
import { closeSync, openSync, rmSync } from "node:fs";
import { createCall } from "../../src/call.ts";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMigrations } from "../../src/engines/sqlite/migrations.ts";

const [mode, path, count] = process.argv.slice(2) as [string, string, string | undefined];
const connection = sqliteConnection(path, true);
const target = sqliteMigrations(connection);
const call = createCall({ actor: "runner@elsewhere", signal: new AbortController().signal });

try {
  if (mode === "hold") {
    await target.exclusively(call, 10_000, async () => {
      process.stdout.write("held\n");
      for await (const _ of process.stdin);
    });
  } else if (mode === "rounds") {
    for (let round = 0; round < Number(count); round += 1) {
      await target.exclusively(call, 60_000, async () => {
        // fails when somebody else is inside
        closeSync(openSync(`${path}.inside`, "wx"));
        await new Promise((resolve) => setImmediate(resolve));
        rmSync(`${path}.inside`);
      });
    }
  } else {
    const rows = await target.history(call);
    process.stdout.write(JSON.stringify(rows.map(({ version }) => version)));
  }
} catch (error) {
  process.stderr.write(String((error as Error).message));
  process.exitCode = 1;
}
await connection.close();
