/** Settings that must not be off. */
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, type PostgresScope, toSet } from "./kit.ts";

/** An error when the setting is off. */
export async function whenOff(
  call: Call,
  scope: PostgresScope,
  name: "fsync" | "full_page_writes",
  cause: string,
): Promise<Found[]> {
  const [row] = await ask<{ value: string }>(call, scope, "SELECT current_setting($1) AS value", [name]);
  if (row!.value !== "off") return [];
  return [
    {
      severity: "error",
      subject: name,
      evidence: `${name} = off`,
      cause,
      ...(await toSet(call, scope, name, "on", true)),
    },
  ];
}
