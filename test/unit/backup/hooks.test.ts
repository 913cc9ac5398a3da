import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runHook } from "../../../src/backup/hooks.ts";
import { type Call, createCall } from "../../../src/call.ts";
import { OpsError } from "../../../src/errors.ts";
import { until } from "../../support/cli.ts";

let dir: string;
let log: string[];
let stop: AbortController;
let call: Call;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-hook-"));
  log = [];
  stop = new AbortController();
  call = createCall({
    actor: "tester@host",
    signal: stop.signal,
    log: (level, message) => log.push(`${level} ${message}`),
  });
});
afterEach(() => rmSync(dir, { recursive: true }));

function script(text: string): string {
  const path = join(dir, "hook");
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

const run = (command: string, environment = {}) => runHook(call, "OPSCTL_BACKUP_AFTER", command, environment);

test("its words go to it as they are, its output to the log, the outcome into its environment", async () => {
  const hook = script(`printf '<%s>\\n' "$@"; echo "$OPSCTL_BACKUP_STATE"; echo "careful" >&2`);
  await run(`${hook} one $HOME;x two\\ words *`, { OPSCTL_BACKUP_STATE: "complete" });
  const lines = ["<one>", "<$HOME;x>", "<two words>", "<*>", "complete", "careful"];
  expect(log).toEqual([`running ${hook}`, ...lines].map((line) => `INFO OPSCTL_BACKUP_AFTER: ${line}`));
});

const failures: { what: string; command: () => string; code: string; message: RegExp }[] = [
  {
    what: "ends with a code",
    command: () => script("echo first >&2; echo no room >&2; exit 3"),
    code: "failed",
    message: /^OPSCTL_BACKUP_AFTER: .*hook ended with code 3: no room$/,
  },
  {
    what: "is killed",
    command: () => script("kill -9 $$"),
    code: "failed",
    message: /hook was ended by SIGKILL$/,
  },
  {
    what: "is not there",
    command: () => "/nowhere/hook --now",
    code: "failed",
    message: /\/nowhere\/hook cannot be run/,
  },
  { what: "is empty", command: () => "  ", code: "usage", message: /OPSCTL_BACKUP_AFTER is empty/ },
];
test.each(failures)("one that $what fails by its name", async ({ command, code, message }) => {
  await expect(run(command())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test("output without an end of line is cut, and never kept as a whole", async () => {
  await run(script("head -c 3000000 /dev/zero | tr '\\0' x"));
  expect(log.at(-1)).toBe(`INFO OPSCTL_BACKUP_AFTER: ${"x".repeat(2000)}`);
  expect(log).toHaveLength(2);
});

test("it ends with the call, and so does what it started", async () => {
  const reason = new OpsError({ code: "interrupted", message: "SIGINT" });
  const pidFile = join(dir, "pid");
  const running = run(script(`sleep 600 & echo $! > ${pidFile}; wait`));
  running.catch(() => {});
  await until("it runs", () => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"));
  stop.abort(reason);
  await expect(running).rejects.toBe(reason);
  const pid = Number(readFileSync(pidFile, "utf8"));
  await until("its child is gone", () => !isRunning(pid));
});

/** A process that ended and was not waited for is gone, too. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
