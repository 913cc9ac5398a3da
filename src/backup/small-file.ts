import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { OpsError } from "../errors.ts";

/** No sidecar of ours comes near it: it holds a line for each table and label. */
const MAX_BYTES = 64 * 1024 * 1024;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Text of a file in a folder where anything may lie. A pipe would be waited for without end, a link leads elsewhere.
 * @throws the system's error; OpsError `integrity` for what is no file, and for one of more than 64 MiB
 */
export function readSmallFile(path: string): string {
  let handle: number;
  try {
    handle = openSync(path, FLAGS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ELOOP") throw odd(path, "is a link");
    throw error;
  }
  try {
    const stats = fstatSync(handle);
    if (!stats.isFile()) throw odd(path, "is no file");
    if (stats.size > MAX_BYTES) throw odd(path, "is too large");
    return readFileSync(handle, "utf8");
  } finally {
    closeSync(handle);
  }
}

function odd(path: string, what: string): OpsError {
  return new OpsError({ code: "integrity", message: `${path} ${what}` });
}
