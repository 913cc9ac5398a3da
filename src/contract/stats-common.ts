import * as v from "valibot";
import { nullableText, text, time } from "./common.ts";

/** What could not be known, and what would make it known: its figures are null. */
export const unknown = v.array(v.strictObject({ what: text, reason: text, hint: nullableText }));
export const amount = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)));
export const ratio = v.nullable(v.pipe(v.number(), v.minValue(0)));
/** Against the newest sample that is older; null: there is none. May be negative. */
export const growth = v.nullable(
  v.strictObject({ bytes: v.nullable(v.number()), rows: v.nullable(v.number()), since: time }),
);
