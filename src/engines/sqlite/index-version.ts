import { OpsError } from "../../errors.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";

/** A newer program indexes other tokens: reading would miss them, writing would leave entries that it misses. @throws OpsError `failed` */
export function refuseNewerIndex(version: number, path: string): void {
  if (version <= INDEX_VERSION) return;
  throw new OpsError({
    code: "failed",
    engine: "sqlite",
    message:
      `the full-text index of ${path} was made by a newer opsctl (index version ${version}, this program makes ` +
      `${INDEX_VERSION})`,
    hint: "upgrade opsctl",
  });
}
