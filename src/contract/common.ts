/** Building blocks of the JSON objects that leave opsctl. Fields are only ever added. */
import * as v from "valibot";
import { type ErrorCode, EXIT_CODES } from "../errors.ts";

export const engine = v.picklist(["neo4j", "postgres", "redis", "sqlite"]);
/** RFC 3339 UTC. */
export const time = v.pipe(v.string(), v.isoTimestamp());
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const milliseconds = v.pipe(v.number(), v.integer());
export const rate = v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(1)));
export const text = v.string();
export const nullableText = v.nullable(v.string());

/** Why something failed; each code has an exit code of its own. */
export const errorCode = v.picklist(
  Object.keys(EXIT_CODES).filter((name): name is ErrorCode => name !== "ok"),
);

/** A store that could not answer; an empty list means that nothing is missing. */
export const degraded = v.array(v.strictObject({ engine, code: errorCode, message: text }));
