import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collect, ROOT, Sandbox, until } from "../support/cli.ts";

let box: Sandbox;
/** Of the fake. */
let root: string;
let env: Record<string, string>;
beforeEach(() => {
  box = new Sandbox({ shared: true });
  root = join(box.dir, "docker");
  const bin = join(box.dir, "bin");
  for (const path of [root, bin, join(root, "volumes"), join(root, "containers")]) mkdirSync(path);
  copyFileSync(join(ROOT, "test", "support", "fake-docker.sh"), join(bin, "docker"));
  chmodSync(join(bin, "docker"), 0o755);
  env = { FAKE_DOCKER: root, PATH: `${bin}:${process.env["PATH"]}` };
});
afterEach(() => box.remove());

function volume(name: string, files: Record<string, string>): string {
  const folder = join(root, "volumes", name);
  mkdirSync(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

function container(name: string, of: string, { running = false, rw = true } = {}): void {
  writeFileSync(join(root, "containers", name), `${name}\n${running}\nnone\n${of} /data ${rw}\n`);
}

/** Containers that were made to read through. */
const left = () => readdirSync(join(root, "containers")).filter((name) => name.startsWith("new"));
const fault = (name: string) => writeFileSync(join(root, "fault"), name);
const inData = () => {
  const path = join(box.cwd, "data");
  return existsSync(path)
    ? readdirSync(path)
        .filter((name) => name !== ".opsctl.lock")
        .sort()
    : [];
};
const migrate = (...args: string[]) => box.run(["migrate-volumes", ...args], { env });

test("volumes become folders, with everything that is in them, and stay", async () => {
  const postgres = volume("app_postgres_data", {
    PG_VERSION: "16",
    "base/1/112": "x".repeat(300_000),
    empty: "",
  });
  mkdirSync(join(postgres, "pg_wal"));
  symlinkSync("/elsewhere", join(postgres, "pg_link"));
  linkSync(join(postgres, "PG_VERSION"), join(postgres, "PG_VERSION.hard"));
  writeFileSync(join(postgres, `${"long".repeat(40)}.conf`), "a name that needs an extended header");
  chmodSync(postgres, 0o700);
  chmodSync(join(postgres, "PG_VERSION"), 0o640);
  // only root may give files away, and only root keeps their owners
  const owner = process.geteuid!() === 0 ? 999 : process.geteuid!();
  for (const path of [postgres, join(postgres, "empty")]) chownSync(path, owner, -1);
  volume("app_neo4j_data", { "databases/neo4j/store": "graph" });
  volume("app_neo4j_logs", { "debug.log": "log" });
  volume("app_redis_data", { "dump.rdb": "REDIS" });
  volume("other", { file: "not of a database" });
  container("app-postgres-1", "app_postgres_data");
  container("reader", "app_redis_data", { running: true, rw: false });
  const done = await box.json("migrate-volumes", ["migrate-volumes"], { env });
  expect(done).toMatchObject({
    dir: join(box.cwd, "data"),
    dry_run: false,
    engines: [
      {
        engine: "neo4j",
        state: "migrated",
        volumes: [{ name: "app_neo4j_data" }, { name: "app_neo4j_logs" }],
      },
      {
        engine: "postgres",
        state: "migrated",
        volumes: [{ files: 5, folders: 3, links: 1, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
        notes: [
          expect.stringMatching(
            /^mount \.\/data\/postgres in place of app_postgres_data; .* docker volume rm/,
          ),
        ],
      },
      { engine: "redis", state: "migrated" },
    ],
    swept: [],
  });
  const data = join(box.cwd, "data");
  expect(inData()).toEqual(["neo4j", "postgres", "redis"]);
  expect(readFileSync(join(data, "neo4j", "logs", "debug.log"), "utf8")).toBe("log");
  expect(readFileSync(join(data, "neo4j", "data", "databases", "neo4j", "store"), "utf8")).toBe("graph");
  expect(statSync(join(data, "postgres")).mode & 0o777).toBe(0o700);
  expect(statSync(join(data, "postgres", "PG_VERSION")).mode & 0o777).toBe(0o640);
  expect(statSync(join(data, "neo4j")).mode & 0o777).toBe(0o755);
  for (const path of ["postgres", "postgres/empty"]) expect(statSync(join(data, path)).uid).toBe(owner);
  expect(readFileSync(join(postgres, "PG_VERSION"), "utf8")).toBe("16");
  expect(left()).toEqual([]);
});

test("--dry-run says what it would do, and changes nothing", async () => {
  volume("redis", { "dump.rdb": "REDIS" });
  const planned = await box.json("migrate-volumes", ["migrate-volumes", "redis", "--dry-run"], { env });
  expect(planned["engines"]).toMatchObject([{ state: "planned", volumes: [{ name: "redis", files: null }] }]);
  expect(inData()).toEqual([]);
  expect(readFileSync(join(root, "log"), "utf8")).not.toMatch(/^(create|cp|rm) /m);
});

test("--volume names another volume, and a folder; --dir another place", async () => {
  volume("graph", { store: "graph" });
  volume("graph-logs", { log: "log" });
  const names = ["--volume", "neo4j=graph", "--volume", "neo4j/logs=graph-logs"];
  expect((await migrate("--dir", "elsewhere", ...names)).stdout.split("\n")).toHaveLength(3);
  expect(readFileSync(join(box.cwd, "elsewhere", "neo4j", "logs", "log"), "utf8")).toBe("log");
});

describe("refused, with nothing copied", () => {
  test.each<[name: string, make: () => void, args: string[], code: number, says: RegExp]>([
    [
      "a container that may write",
      () => {
        volume("app_redis_data", { a: "a" });
        container("app-redis-1", "app_redis_data", { running: true });
      },
      [],
      22,
      /app-redis-1 may write[\s\S]*Try: .*docker stop app-redis-1/,
    ],
    [
      "a folder that holds something",
      () => {
        volume("redis_data", { a: "a" });
        mkdirSync(join(box.cwd, "data", "redis", "appendonlydir"), { recursive: true });
      },
      ["redis"],
      1,
      /holds something already/,
    ],
    ["no volume", () => {}, [], 25, /no Docker volume looks like/],
    ["no volume of that engine", () => void volume("redis", {}), ["pg"], 25, /--volume postgres=NAME/],
    ["a volume that is not there", () => {}, ["--volume", "redis=none"], 25, /no Docker volume none/],
    [
      "two that could be it",
      () => {
        volume("a_redis_data", {});
        volume("b_redis_data", {});
      },
      ["redis"],
      2,
      /a_redis_data, b_redis_data[\s\S]*--volume redis=a_redis_data/,
    ],
    ["no volume name", () => {}, ["--volume", "redis"], 2, /is not ENGINE=NAME/],
    ["one folder twice", () => {}, ["--volume", "redis=a", "--volume", "redis=b"], 2, /the same folder/],
    [
      "an image that is not here",
      () => void volume("redis", { a: "a" }),
      ["redis", "--image", "busybox"],
      1,
      /No such image: busybox/,
    ],
    [
      "no image at all",
      () => {
        volume("redis", { a: "a" });
        writeFileSync(join(root, "no-images"), "");
      },
      ["redis"],
      2,
      /docker pull busybox/,
    ],
  ])("%s", async (_name, make, args, code, says) => {
    make();
    const before = inData();
    const ran = await migrate(...args);
    expect(ran.stderr).toMatch(says);
    expect(ran.code).toBe(code);
    expect(inData()).toEqual(before);
  });

  test("a host without Docker", async () => {
    const { code, stderr } = await box.run(["migrate-volumes"], { env: { PATH: "/nowhere" } });
    expect(stderr).toMatch(/docker cannot be run[\s\S]*Try: .*docker info/);
    expect(code).toBe(1);
  });
});

describe("a copy that goes wrong leaves nothing under the name", () => {
  test.each([
    ["flip", 23, /a: its content differs/],
    ["extra", 23, /1 entries in the volume, 2 in the copy/],
    ["written", 23, /a: its content differs/],
    ["start", 22, /app-redis-1 may write/],
    ["fail", 1, /the disk is broken/],
  ])("%s", async (name, code, says) => {
    volume("redis_data", { a: "content" });
    container("app-redis-1", "redis_data");
    fault(name);
    const ran = await migrate("redis");
    expect(ran.stderr).toMatch(says);
    expect(ran.code).toBe(code);
    expect(inData()).toEqual([]);
    expect(left()).toEqual([]);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("%s: the next run goes through, and sweeps", async (signal) => {
    volume("redis_data", { a: "content" });
    fault("hang");
    const child = box.start(["migrate-volumes", "redis"], { env });
    const ended = collect(child);
    await until("it copies", () => inData().some((name) => existsSync(join(box.cwd, "data", name, "a"))));
    child.kill(signal);
    const { code } = await ended;
    expect(code).toBe(signal === "SIGTERM" ? 143 : null);
    expect(inData()).not.toContain("redis");
    if (signal === "SIGTERM") expect(inData()).toEqual([]);
    rmSync(join(root, "fault"));
    const again = await box.json("migrate-volumes", ["migrate-volumes", "redis"], { env });
    expect(again["swept"]).toHaveLength(signal === "SIGTERM" ? 0 : 1);
    expect(inData()).toEqual(["redis"]);
    expect(left()).toEqual([]);
  });
});
