/** The state file on a disk that is full: what looks around still does, and what makes room makes it. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteSamples } from "../../src/engines/sqlite/samples.ts";
import { testCall } from "../support/calls.ts";
import { BIN, conforming, type Ran, Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { DAY, writeSet } from "../unit/backup/sets.ts";

const isRoot = process.getuid?.() === 0;
const now = Date.now();

let box: Sandbox;
let redis: OwnRedis;
beforeEach(async () => {
  box = new Sandbox();
  redis = await ownRedis();
  mkdirSync(join(box.cwd, "small"));
  mkdirSync(join(box.cwd, "sets", ".opsctl-set-abc123"), { recursive: true });
  // room for what needs some, once it is gone
  writeFileSync(join(box.cwd, "sets", ".opsctl-set-abc123", "piece"), Buffer.alloc(200_000));
  for (const [nth, days] of [30, 0].entries())
    writeSet(join(box.cwd, "sets"), { at: now - days * DAY, sequence: nth + 1, name: `set-${nth + 1}` });
  const state = sqliteConnection(box.state);
  const sample = { at: now - 400 * DAY, target: "redis:elsewhere", metric: "keys", value: 1 };
  await sqliteSamples(state).add(testCall(), [sample]);
  await state.close();
});
afterEach(async () => {
  await redis.stop();
  box.remove();
});

/**
 * Runs commands where the state file and the archives are on a file system of 600 KiB that is full.
 * @param before a script that runs while there is room
 */
async function onFullDisk(
  commands: readonly (readonly [name: string, args: string])[],
  before = "",
): Promise<void> {
  const runs = commands.map(([name, args]) => `run ${name} ${args}`).join("\n");
  const script = box.file(
    "full.sh",
    `mount -t tmpfs -o size=600k none small || exit 99
cp -a sets small/backups; cp ${box.state} small/state.db
run() { name=$1; shift; "${process.execPath}" "${BIN}" "$@" > $name.out 2> $name.err; echo $? > $name.code; }
${before}
dd if=/dev/zero of=small/fill bs=4k 2>/dev/null
${runs}
exit 0
`,
  );
  const ran = await box.shell(`unshare ${isRoot ? "-m" : "-Urm"} bash ${script}`, {
    REDIS_URL: redis.url,
    OPSCTL_STATE: join(box.cwd, "small", "state.db"),
    OPSCTL_BACKUPS: join(box.cwd, "small", "backups"),
  });
  expect(ran.code, ran.stderr).toBe(0);
}

/** What the command of that name said. */
function said(name: string): Ran {
  const read = (end: string) => readFileSync(join(box.cwd, `${name}.${end}`), "utf8");
  return { code: Number(read("code")), stdout: read("out"), stderr: read("err") } as Ran;
}

it("figures are shown, cleanup makes room, and no server is blamed", async () => {
  await onFullDisk([
    ["stats", "stats --json"],
    ["look", "cleanup --dry-run --json"],
    ["clean", "cleanup --json"],
  ]);
  const stats = said("stats");
  expect(stats.code, stats.stderr).toBe(0);
  expect(stats.stderr).toMatch(/no sample was kept: .*state\.db cannot grow: the disk is full/);
  expect(conforming("stats", stats.stdout)).toMatchObject({ redis: expect.any(Object), degraded: [] });
  const found = { locks: 0, spools: 1, archives: 1, samples: 1, operations: 0, scratch_databases: 0 };
  for (const name of ["look", "clean"]) {
    const { code, stdout, stderr } = said(name);
    expect(code, stderr).toBe(0);
    const { kinds, degraded } = conforming("cleanup", stdout) as {
      kinds: { kind: string; found: number; removed: number; error: string | null }[];
      degraded: unknown[];
    };
    expect(degraded).toEqual([]);
    const counts = Object.fromEntries(kinds.map((kind) => [kind.kind, kind.found]));
    expect(counts).toMatchObject(found);
    for (const kind of kinds)
      expect([kind.removed, kind.error]).toEqual([name === "look" ? 0 : kind.found, null]);
  }
});

it("a state file that cannot even be read is what is missing, not the servers", async () => {
  await onFullDisk(
    [
      ["stats", "stats --json"],
      ["clean", "cleanup --keep-last 1 --json"],
    ],
    "echo 'not over' > small/state.db-wal",
  );
  const stats = said("stats");
  expect(stats.code, stats.stderr).toBe(0);
  expect(conforming("stats", stats.stdout)).toMatchObject({
    redis: expect.any(Object),
    degraded: [
      { engine: "sqlite", message: expect.stringMatching(/state\.db cannot grow: the disk is full/) },
    ],
  });
  const { code, stdout, stderr } = said("clean");
  expect(code).toBe(1);
  expect(stderr).toMatch(/state\.db cannot grow: the disk is full/);
  expect(stderr).not.toMatch(/redis is missing/);
  expect(conforming("cleanup", stdout)).toMatchObject({ removed_count: 1, degraded: [] });
});
