/** Takes the lock named on the command line, says so, and holds it until its stdin ends. Exit code 22 when somebody else has it. */
import { acquireLock } from "../../src/engines/sqlite/lock-file.ts";

try {
  const lock = await acquireLock(process.argv[2]!, "runner@elsewhere");
  process.stdout.write("held\n");
  process.stdin.resume();
  process.stdin.on("end", () => void lock.release());
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`);
  process.exitCode = 22;
}
