import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readTool } from "../../../../src/child.ts";
import { type Check, type Found, Unknowable } from "../../../../src/health/doctor/check.ts";
import { dockerDisk } from "../../../../src/health/doctor/checks/docker-disk.ts";
import { hostChecks } from "../../../../src/health/doctor/checks/host.ts";
import type { StackScope } from "../../../../src/health/doctor/scope.ts";
import { findings, HostRoot, hostScope } from "../../../support/doctor-host.ts";

let host: HostRoot;
beforeEach(() => {
  host = new HostRoot();
  mkdirSync(join(host.dir, "bin"));
  copyFileSync(
    join(import.meta.dirname, "../../../support/fake-docker-doctor.sh"),
    join(host.dir, "bin/docker"),
  );
  for (const name of ["ps.json", "df.json"]) host.write(`docker/${name}`, "");
  host.write("docker/inspect.json", "[]");
  host.write("docker/root", "/var/lib/docker\n");
});
afterEach(() => host.remove());

const DOCKER_CHECKS = hostChecks.filter(({ area }) => area === "docker");
const check = (id: string) => DOCKER_CHECKS.find((one) => one.id === id) as Check<StackScope>;
const environment = () => ({
  PATH: `${join(host.dir, "bin")}:/usr/bin:/bin`,
  FAKE_DOCKER: join(host.dir, "docker"),
});
const scope = (over: Partial<StackScope> = {}) =>
  hostScope(host, {
    ask: (call, file, args) => readTool(call, file, args, { env: environment() }),
    ...over,
  });

/** Runs the commands of a finding. */
function mended({ remedies }: Found): void {
  expect(remedies).not.toEqual([]);
  for (const { argv, safe } of remedies) {
    expect(safe).toBe(false);
    execFileSync(argv[0]!, argv.slice(1), { env: environment() });
  }
}

interface Planted {
  id: string;
  name: string;
  image: string;
  state: string;
  status: string;
  project?: string;
}

/** A line as `docker ps` prints it with the format that is asked for. */
const line = ({ id, name, image, state, status, project = "" }: Planted) =>
  `${JSON.stringify({ ID: id, Names: name, Image: image, State: state, Status: status, Project: project })}\n`;

describe("docker-containers", () => {
  const database = {
    id: "aa",
    name: "app-redis-1",
    image: "redis:7",
    state: "running",
    status: "Up 2 hours",
    project: "app",
  };

  test.each([
    [
      { state: "restarting", status: "Restarting (1) 5 seconds ago" },
      "error",
      "ends as soon as it is started",
    ],
    [{ state: "running", status: "Up 3 hours (unhealthy)" }, "error", "health check"],
    [{ state: "dead", status: "Dead" }, "error", "nothing starts it again"],
    [{ state: "exited", status: "Exited (1) 3 days ago" }, "warning", "ended with an error"],
    [{ state: "exited", status: "Exited (137) 3 days ago" }, "warning", "memory"],
    [
      { image: "docker.io/pgvector/pgvector:pg16", state: "exited", status: "Exited (127) 1 hour ago" },
      "warning",
      "cannot be run",
    ],
    // of the project of a database, though none itself
    [
      {
        id: "bb",
        name: "app-web-1",
        image: "web",
        state: "restarting",
        status: "Restarting (2) 1 second ago",
      },
      "warning",
      "",
    ],
  ])("%j: %s, and its command mends it", async (change, severity, cause) => {
    host.write("docker/ps.json", line(database) + line({ ...database, ...change, id: "cc", name: "broken" }));
    host.write("docker/logs/cc", "one\nFATAL: the password hunter2-and-more is wrong\u001b[0m\n");
    const known = scope({
      secrets: [{ name: "REDIS_PASSWORD", value: "hunter2-and-more", source: "environment", file: null }],
    });
    const [found, ...others] = await findings(check("docker-containers"), known);
    expect(others).toEqual([]);
    expect(found).toMatchObject({ severity, subject: "container broken" });
    expect(found!.evidence).toContain("its log ends with: FATAL: the password *** is wrong");
    expect(found!.evidence).not.toContain("\u001b");
    expect(found!.cause).toContain(cause);
    mended(found!);
    expect(await findings(check("docker-containers"), known)).toEqual([]);
  });

  test.each([
    [{ state: "exited", status: "Exited (0) 2 days ago" }],
    [{ state: "exited", status: "Exited (143) 2 days ago" }],
    [{ state: "created", status: "Created" }],
    [{ state: "running", status: "Up 2 minutes (healthy)" }],
    [{ state: "running", status: "Up 2 seconds (health: starting)" }],
    [
      {
        name: "other",
        image: "my-redis-exporter:1",
        project: "else",
        state: "exited",
        status: "Exited (1) 1 hour ago",
      },
    ],
  ])("%j is none", async (change) => {
    host.write("docker/ps.json", line({ ...database, ...change }));
    expect(await findings(check("docker-containers"), scope())).toEqual([]);
  });

  test("a container whose log cannot be had is found all the same", async () => {
    host.write("docker/ps.json", line({ ...database, state: "dead", status: "Dead" }));
    expect(await findings(check("docker-containers"), scope())).toMatchObject([
      { evidence: "redis:7: Dead" },
    ]);
  });
});

describe("docker-volumes", () => {
  const running = { id: "aa", name: "db", state: "running", status: "Up 2 hours" };
  const NAMED = "0123456789abcdef".repeat(4);

  test.each([
    ["postgres:16", [], "warning", "in the container itself"],
    ["redis:7", [{ Type: "tmpfs", Destination: "/data" }], "warning", "in memory (tmpfs)"],
    ["redis:7", [{ Type: "volume", Name: NAMED, Destination: "/data" }], "info", "a volume without a name"],
    [
      "neo4j:5-community",
      [{ Type: "volume", Name: "logs", Destination: "/logs" }],
      "warning",
      "in the container itself",
    ],
    ["redis:7", [{ Type: "volume", Name: "app_redis", Destination: "/data" }], undefined, ""],
    ["neo4j:5", [{ Type: "bind", Source: "/srv/neo4j", Destination: "/data" }], undefined, ""],
    ["postgres:18", [{ Type: "volume", Name: "pg", Destination: "/var/lib/postgresql" }], undefined, ""],
    ["nginx", [], undefined, ""],
  ])("%s with %j: %s", async (image, Mounts, severity, evidence) => {
    host.write("docker/ps.json", line({ ...running, image }));
    host.write("docker/inspect.json", JSON.stringify([{ Name: "/db", Config: { Image: image }, Mounts }]));
    const found = await findings(check("docker-volumes"), scope());
    expect(found.map((one) => one.severity)).toEqual(severity === undefined ? [] : [severity]);
    expect(found[0]?.evidence ?? "").toContain(evidence);
    host.write(
      "docker/inspect.json",
      JSON.stringify([
        {
          Name: "/db",
          Config: { Image: image },
          Mounts: [
            {
              Type: "volume",
              Name: "kept",
              Destination: image.startsWith("postgres") ? "/var/lib/postgresql/data" : "/data",
            },
          ],
        },
      ]),
    );
    expect(await findings(check("docker-volumes"), scope())).toEqual([]);
  });
});

describe("docker-disk", () => {
  const df = (reclaimable: string) =>
    [
      { Active: "2", Reclaimable: reclaimable, Size: "60GB", TotalCount: "9", Type: "Images" },
      { Active: "0", Reclaimable: "50GB (100%)", Size: "50GB", TotalCount: "4", Type: "Local Volumes" },
      { Active: "1", Reclaimable: "30GB (90%)", Size: "33GB", TotalCount: "2", Type: "Containers" },
      { Active: "0", Reclaimable: "1.5GB", Size: "1.5GB", TotalCount: "4", Type: "Build Cache" },
    ]
      .map((one) => `${JSON.stringify(one)}\n`)
      .join("");
  const disk = (percent: number) =>
    dockerDisk(async () => ({
      bsize: 4096n,
      blocks: 1000n,
      bfree: BigInt(1000 - 10 * percent),
      bavail: BigInt(1000 - 10 * percent),
    }));

  test.each([
    ["2.5GB (40%)", 50, []],
    ["2.5GB (40%)", 88, ["warning"]],
    ["2.5GB (40%)", 97, ["error"]],
    ["33.1GB (80%)", 50, ["info"]],
  ])("%s unused on a disk that is full by %d %%: %j", async (reclaimable, percent, severities) => {
    host.write("docker/df.json", df(reclaimable));
    mkdirSync(join(host.dir, "var/lib/docker"), { recursive: true });
    const found = await findings(disk(percent), scope());
    expect(found.map(({ severity }) => severity)).toEqual(severities);
    if (found.length === 0) return;
    expect(found[0]!.evidence).toContain(`Images 60GB, unused ${reclaimable}`);
    // volumes and stopped containers hold data: they are not pruned, and do not count
    expect(found[0]!.evidence).toContain(
      reclaimable.startsWith("2.5") ? "4.0 GB are unused" : "34.6 GB are unused",
    );
    mended(found[0]!);
    // the figures of this disk are made up: they stay
    const after = await findings(disk(percent), scope());
    const kept =
      "0.0 GB are unused (Local Volumes 50GB, unused 50GB (100%); Containers 33GB, unused 30GB (90%))";
    expect(after.map(({ evidence, remedies }) => [evidence, remedies])).toEqual(
      percent < 85 ? [] : [[`${percent} % in use; ${kept}`, []]],
    );
    expect(await findings(disk(40), scope())).toEqual([]);
  });

  test("a daemon whose folder is elsewhere has no disk here", async () => {
    host.write("docker/df.json", df("2.5GB (40%)"));
    expect(await findings(disk(99), scope())).toEqual([]);
  });
});

describe("where Docker does not answer", () => {
  test.each([
    [
      "no daemon",
      () => host.write("docker/fault", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."),
    ],
    ["no Docker at all", () => host.delete("bin/docker")],
  ])("%s: nothing", async (_, plant) => {
    plant();
    const bare = hostScope(host, {
      ask: (call, file, args) =>
        readTool(call, file, args, { env: { ...environment(), PATH: `${join(host.dir, "bin")}` } }),
    });
    for (const one of DOCKER_CHECKS) expect(await findings(one, bare)).toEqual([]);
  });

  test("a user who may not ask is told so", async () => {
    host.write("docker/fault", "permission denied while trying to connect to the Docker daemon socket");
    for (const one of DOCKER_CHECKS) await expect(findings(one, scope())).rejects.toBeInstanceOf(Unknowable);
  });
});
