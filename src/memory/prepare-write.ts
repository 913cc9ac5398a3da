import { prepare } from "./analyze.ts";
import type { Write } from "./model.ts";
import type { PreparedWrite } from "./port.ts";

/** A write with what stores index of it. */
export function prepareWrite(write: Write): PreparedWrite {
  return write.kind === "remember" ? { ...write, prepared: prepare(write.record) } : write;
}
