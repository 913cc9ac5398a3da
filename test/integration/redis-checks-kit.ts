/** Servers on which problems of Redis are planted. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RedisServer, startRedis } from "../../scripts/services/redis.ts";
import { findTools } from "../../scripts/services/tools.ts";
import { DEFAULT_THRESHOLDS, type Thresholds } from "../../src/config/thresholds.ts";
import { redisChecks } from "../../src/engines/redis/checks/index.ts";
import type { Found } from "../../src/health/doctor/check.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS, type Opened, targetOf } from "./redis-sight-kit.ts";

/** Files of a host, below a folder. */
export function hostFolder() {
  const root = mkdtempSync(join(tmpdir(), "opsctl-host-"));
  return {
    root,
    write(path: string, text: string) {
      const file = join(root, path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, text);
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** No file of a server may be longer, as on a disk that is full. */
export function limitFiles(pid: number, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:unlimited`]);
}

/** A server whose files a test can limit in size while it runs: it is not ended by the signal for that. */
export async function limitableRedis(args: string[]): Promise<RedisServer & { remove(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-redis-checks-"));
  const wrapper = join(dir, "redis-server.sh");
  const { redisServer } = await findTools();
  writeFileSync(wrapper, `#!/bin/sh\ntrap '' XFSZ\nexec '${redisServer}' "$@"\n`);
  chmodSync(wrapper, 0o700);
  const server = await startRedis({ dir, args, redisServer: wrapper });
  const remove = () => server.stop().finally(() => rmSync(dir, { recursive: true, force: true }));
  return { ...server, remove };
}

interface Given {
  thresholds?: Partial<Thresholds>;
  root?: string;
}

/** Runs one check, in process. */
export function look(opened: Opened, url: string, id: string, given: Given = {}): Promise<Found[]> {
  const check = redisChecks.find((one) => one.id === id);
  if (!check) throw new Error(`there is no check ${id}`);
  return check.run(testCall(), {
    connection: opened.connect(url),
    target: targetOf(url),
    limits: LIMITS,
    thresholds: { ...DEFAULT_THRESHOLDS, ...given.thresholds },
    root: given.root ?? "/",
  });
}
