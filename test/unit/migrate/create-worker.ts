/** A process that makes migrations: `ENGINE FOLDER NAME COUNT`; prints one version a line. */
import { createMigration } from "../../../src/migrate/create.ts";

const [engine, folder, name, count] = process.argv.slice(2) as ["postgres", string, string, string];
for (let index = 0; index < Number(count); index += 1) {
  const made = await createMigration(engine, folder, folder, "auto", `${name} ${index}`, new Date());
  process.stdout.write(`${made.version}\n`);
}
