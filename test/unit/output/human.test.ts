import { describe, expect, it } from "vitest";
import { age, bytes, percent, sparkline } from "../../../src/output/human.ts";

describe("what people read", () => {
  it("shows counts as bars, the largest full, nothing as a dot", () => {
    expect(sparkline([0, 1, 4, 8])).toBe("·▁▄█");
    expect(sparkline([0, 0])).toBe("··");
    expect(sparkline([3, 3])).toBe("██");
  });

  it("shows ages in their largest unit", () => {
    expect([0, 999, 59_999, 60_000, 7_200_000, 90_000_000, -5].map(age)).toEqual([
      "0s",
      "0s",
      "59s",
      "1m",
      "2h",
      "1d",
      "0s",
    ]);
  });

  it("shows sizes and shares", () => {
    expect([0, 1023, 1024, 1536 * 1024, 3 * 1024 ** 3].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 MiB",
      "3.0 GiB",
    ]);
    expect([null, 0, 0.826, 1].map(percent)).toEqual(["–", "0 %", "83 %", "100 %"]);
  });
});
