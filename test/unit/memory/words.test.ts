import { expect, test } from "vitest";
import { successInWords } from "../../../src/memory/remember.ts";

test.each<[string, boolean | null]>([
  ["Restarted the pool, fixed", true],
  ["Resolved by a rollback", true],
  ["Works again", true],
  ["SUCCESS: index rebuilt", true],
  ["Successfully migrated", true],
  ["Restarted, failed again", false],
  ["Rollback was unsuccessful", false],
  ["It did not work", false],
  ["That didn't help", false],
  ["Not fixed", false],
  ["not resolved yet", false],
  ["No effect", false],
  ["still failing after the restart", false],
  ["unresolved", false],
  ["Increased timeout to 30s", null],
  ["Failed first, then fixed", null],
  ["Prefixed the names", null],
  ["workspace cleaned", null],
  ["", null],
])("%s → %s", (content, success) => expect(successInWords(content)).toBe(success));
