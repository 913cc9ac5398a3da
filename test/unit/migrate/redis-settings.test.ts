import { describe, expect, test } from "vitest";
import type { OpsError } from "../../../src/errors.ts";
import {
  DEFAULT_REDIS_SETTINGS,
  formatMemory,
  isRaise,
  parseMemory,
  parseRedisSettings,
  readableSetting,
  sameSetting,
} from "../../../src/migrate/redis-settings.ts";

function usage(override: string): OpsError {
  try {
    parseRedisSettings([override]);
  } catch (error) {
    expect(error).toMatchObject({ code: "usage" });
    expect((error as OpsError).message).toContain("--redis-config");
    return error as OpsError;
  }
  throw new Error(`${override} was taken`);
}

describe("what is wanted", () => {
  test("the guides' five settings", () => {
    expect(parseRedisSettings([])).toEqual([
      { name: "maxmemory", value: "512mb" },
      { name: "maxmemory-policy", value: "allkeys-lru" },
      { name: "appendonly", value: "yes" },
      { name: "appendfsync", value: "everysec" },
      { name: "timeout", value: "300" },
    ]);
  });

  test("overrides replace, append, and the last one wins", () => {
    const wanted = parseRedisSettings(["MaxMemory=1gb", "hz=20", "appendonly=NO", "hz=30", "save="]);
    expect(wanted).toHaveLength(DEFAULT_REDIS_SETTINGS.length + 2);
    expect(wanted).toContainEqual({ name: "maxmemory", value: "1gb" });
    expect(wanted).toContainEqual({ name: "appendonly", value: "no" });
    expect(wanted).toContainEqual({ name: "hz", value: "30" });
    expect(wanted).toContainEqual({ name: "save", value: "" });
  });
});

describe("what is refused", () => {
  test("text without a name, not repeated in the message", () => {
    expect(usage("hunter2-password").message).not.toContain("hunter2");
    expect(usage("=5").hint).toContain("maxmemory=1gb");
    expect(usage("max memory=5").code).toBe("usage");
    expect(usage("max*=5").code).toBe("usage");
  });

  test.each(["requirepass", "masterauth", "MASTERUSER", "tls-key-file-pass", "primaryauth"])(
    "the secret %s, its value not repeated",
    (name) => {
      const error = usage(`${name}=hunter2`);
      expect(`${error.message} ${error.hint}`).not.toContain("hunter2");
      expect(error.hint).toContain("secret");
    },
  );

  test.each(["dir", "dbfilename", "bind", "port", "replicaof", "loadmodule", "client-output-buffer-limit"])(
    "the dangerous %s, with the reason",
    (name) => expect(usage(`${name}=x`).hint).toBeTruthy(),
  );

  test.each([
    ["maxmemory=lots", "kb, mb or gb"],
    ["maxmemory=-1", "kb, mb or gb"],
    ["maxmemory-policy=allkeys-lur", "did you mean allkeys-lru?"],
    ["appendonly=maybe", "yes, no"],
    ["appendfsync=hourly", "always, everysec, no"],
    ["timeout=5m", "seconds"],
  ])("%s", (override, hint) => expect(usage(override).hint).toContain(hint));

  test("line breaks and endless values", () => {
    expect(usage("hz=1\nrequirepass x").message).toContain("control character");
    expect(usage(`hz=${"1".repeat(1025)}`).message).toContain("1024");
  });
});

describe("values in the server's units", () => {
  test.each([
    ["512mb", 536870912n],
    ["512MB", 536870912n],
    ["1k", 1000n],
    ["1kb", 1024n],
    ["1m", 1000000n],
    ["2g", 2000000000n],
    ["2gb", 2147483648n],
    ["7b", 7n],
    ["0", 0n],
    ["-1", undefined],
    ["1.5gb", undefined],
    ["", undefined],
    ["kb", undefined],
  ])("%s", (text, bytes) => expect(parseMemory(text)).toBe(bytes));

  test("same or not", () => {
    expect(sameSetting("536870912", "512mb")).toBe(true);
    expect(sameSetting("300", "0300")).toBe(true);
    expect(sameSetting("yes", "Yes")).toBe(true);
    expect(sameSetting("no", "yes")).toBe(false);
    expect(sameSetting("Name", "name")).toBe(false);
    expect(sameSetting("", "0")).toBe(false);
  });

  test("readable beside the wanted value", () => {
    expect(formatMemory(0n)).toBe("0");
    expect(formatMemory(1536n * 1024n ** 2n)).toBe("1536mb");
    expect(formatMemory(1025n)).toBe("1025");
    expect(readableSetting("1073741824", "512mb")).toBe("1gb");
    expect(readableSetting("1073741824", "536870912")).toBe("1073741824");
    expect(readableSetting("noeviction", "allkeys-lru")).toBe("noeviction");
  });

  test("a raise: no limit is the highest", () => {
    expect(isRaise("256mb", "512mb")).toBe(true);
    expect(isRaise("256mb", "0")).toBe(true);
    expect(isRaise("0", "512mb")).toBe(false);
    expect(isRaise("1gb", "512mb")).toBe(false);
  });
});
