import type { Call } from "../call.ts";
import type { Change } from "./port.ts";

/** One server setting that `init` wants, as the server names it. */
export interface WantedSetting {
  name: string;
  value: string;
}

/** A server whose configuration `init` compares with what is wanted, on every run. Throws OpsError only. */
export interface SettingsTarget {
  /** Settings that differ, with the server's present value as `before`. Throws `auth` with a hint when the server refuses CONFIG. */
  compare(call: Call, wanted: readonly WantedSetting[]): Promise<Change[]>;
  /** What the changes would do to the data that is there, one sentence each (keys that would be evicted). Empty: harmless. */
  risks(call: Call, changes: readonly Change[]): Promise<string[]>;
  /** Sets them, verifies by reading back, and makes them last. Returns notes: whether they outlive a restart. */
  apply(call: Call, changes: readonly Change[]): Promise<string[]>;
}
