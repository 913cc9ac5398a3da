import { type EngineName, toOpsError } from "../errors.ts";
import type { BackupPart } from "./port.ts";

/** Stands for what could not even be listed, so that the set names it and the other parts go on. */
export function failedPart(engine: EngineName, name: string, source: string, error: unknown): BackupPart {
  const fail = () => Promise.reject(toOpsError(error));
  return {
    engine,
    name,
    source,
    isSlowToPrepare: false,
    open: fail,
    prepare: fail,
    copy: fail,
    close: async () => {},
  };
}
