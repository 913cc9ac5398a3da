import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_THRESHOLDS } from "../../../../src/config/thresholds.ts";
import { type Check, Unknowable } from "../../../../src/health/doctor/check.ts";
import { hostChecks } from "../../../../src/health/doctor/checks/host.ts";
import { hostDisk } from "../../../../src/health/doctor/checks/host-disk.ts";
import { hostInodes } from "../../../../src/health/doctor/checks/host-inodes.ts";
import type { StackScope } from "../../../../src/health/doctor/scope.ts";
import { findings, HostRoot, hostScope, meminfo, target } from "../../../support/doctor-host.ts";

let host: HostRoot;
beforeEach(() => {
  host = new HostRoot();
});
afterEach(() => host.remove());

const check = (id: string) => hostChecks.find((one) => one.id === id) as Check<StackScope>;
const redis = target("redis", "redis://127.0.0.1:6379/0");
const postgres = target("postgres", "postgresql://app@localhost/app");
const neo4j = target("neo4j", "bolt://[::1]:7687", "neo4j");
const limits = (soft: number) =>
  `Max open files            ${soft}                 1048576              files\n`;
const STUCK = "some avg10=1 avg60=1 avg300=60.00 total=1\nfull avg10=9.00 avg60=9.00 avg300=41.50 total=1\n";
const zombies = (count: number) => {
  for (let pid = 100; pid < 100 + count; pid++) {
    host.process(pid, { args: [], status: "State:\tZ (zombie)\nPPid:\t7\n" });
    host.write(`proc/${pid}/comm`, "sh\n");
  }
};

interface Case {
  id: string;
  plant: () => void;
  mend: () => void;
  severity: string;
  subject: string;
  evidence: RegExp;
  targets?: StackScope["targets"];
}

const CASES: Case[] = [
  {
    id: "host-memory",
    plant: () => {
      host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 80 }));
      host.process(50, { args: ["redis-server *:6379"], status: "VmRSS:\t 524288 kB\n" });
    },
    mend: () => host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 200 })),
    severity: "warning",
    subject: "memory of this host",
    evidence:
      /^92 % of 1000\.0 MiB in use, 80\.0 MiB available; largest: redis-server \(process 50\) 512\.0 MiB$/,
  },
  {
    id: "host-memory",
    plant: () => host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 20 })),
    mend: () => host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 200 })),
    severity: "error",
    subject: "memory of this host",
    evidence: /^98 % of/,
  },
  {
    id: "host-swap",
    plant: () => {
      host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 50, SwapTotal: 200, SwapFree: 20 }));
      host.process(50, { args: ["/usr/bin/java", "-jar", "x"], status: "VmSwap:\t 102400 kB\n" });
    },
    mend: () =>
      host.write(
        "proc/meminfo",
        meminfo({ MemTotal: 1000, MemAvailable: 50, SwapTotal: 200, SwapFree: 150 }),
      ),
    severity: "warning",
    subject: "swap of this host",
    evidence:
      /^180\.0 MiB of 200\.0 MiB in use, 5\.0 % of the memory available; most: java \(process 50\) 100\.0 MiB$/,
  },
  {
    id: "host-swap",
    plant: () =>
      host.write(
        "proc/meminfo",
        meminfo({ MemTotal: 1000, MemAvailable: 700, SwapTotal: 200, SwapFree: 20 }),
      ),
    mend: () =>
      host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 700, SwapTotal: 0, SwapFree: 0 })),
    severity: "info",
    subject: "swap of this host",
    evidence: /70\.0 % of the memory available$/,
  },
  {
    id: "host-overcommit",
    plant: () => {
      host.write("proc/sys/vm/overcommit_memory", "2\n");
      host.write("proc/meminfo", meminfo({ MemTotal: 1000, CommitLimit: 500, Committed_AS: 480 }));
    },
    // whatever is promised, only mode 2 refuses
    mend: () => host.write("proc/sys/vm/overcommit_memory", "1\n"),
    severity: "warning",
    subject: "vm.overcommit_memory = 2",
    evidence: /^480\.0 MiB of 500\.0 MiB that may be promised are promised \(96\.0 %\)$/,
  },
  {
    id: "host-oom",
    plant: () => host.write("proc/vmstat", "pswpin 4\noom_kill 3\n"),
    mend: () => host.write("proc/vmstat", "pswpin 4\noom_kill 0\n"),
    severity: "info",
    subject: "memory of this host",
    evidence: /^3 processes were killed/,
  },
  {
    id: "host-pressure",
    plant: () => host.write("proc/pressure/io", STUCK),
    mend: () => host.write("proc/pressure/io", STUCK.replace("41.50", "1.50")),
    severity: "info",
    subject: "pressure on the disk",
    evidence: /^in 41\.5 % of the last five minutes/,
  },
  {
    id: "host-read-only",
    plant: () =>
      host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /var/lib/opsctl ext4 ro,relatime 0 0\n"),
    mend: () =>
      host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /var/lib/opsctl ext4 rw,relatime 0 0\n"),
    severity: "error",
    subject: "/var/lib/opsctl/data.db",
    evidence: /^the data file: \/var\/lib\/opsctl \(\/dev\/sdb1, ext4\) is mounted read-only$/,
  },
  {
    id: "host-network-filesystem",
    plant: () => host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\nnas:/x /var/lib nfs4 rw,vers=4.2 0 0\n"),
    mend: () => host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\nnas:/x /var/lib2 nfs4 rw,vers=4.2 0 0\n"),
    severity: "warning",
    subject: "/var/lib/opsctl/data.db",
    evidence: /^the data file: \/var\/lib is nfs4 \(nas:\/x\)$/,
  },
  {
    id: "host-network-filesystem",
    plant: () => {
      host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n//nas/a\\040b /srv/a\\040b cifs rw 0 0\n");
      host.process(60, { args: ["/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/a b/main"] });
      host.process(61, { args: ["postgres: checkpointer "] });
    },
    mend: () => host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n"),
    targets: [postgres],
    severity: "warning",
    subject: "/srv/a b/main",
    evidence: /^the data of PostgreSQL: \/srv\/a b is cifs \(\/\/nas\/a b\)$/,
  },
  {
    id: "host-file-limit",
    plant: () =>
      host.process(70, {
        args: ["java", "-cp", "x", "org.neo4j.server.startup.Neo4jCommunity", "--home-dir=/n"],
        limits: limits(1024),
        fds: 3,
      }),
    mend: () => host.write("proc/70/limits", limits(65_536)),
    targets: [neo4j],
    severity: "info",
    subject: "Neo4j (java, process 70)",
    evidence: /^it may open 1024 files, 3 are open; 40000 are advised$/,
  },
  {
    id: "host-file-limit",
    plant: () => host.process(70, { args: ["redis-server 127.0.0.1:6379"], limits: limits(10), fds: 9 }),
    mend: () => host.write("proc/70/limits", limits(20_000)),
    targets: [redis],
    severity: "warning",
    subject: "Redis (redis-server, process 70)",
    evidence: /^it may open 10 files, 9 are open/,
  },
  {
    id: "host-swappiness",
    plant: () => {
      host.write(
        "proc/meminfo",
        meminfo({ MemTotal: 1000, MemAvailable: 700, SwapTotal: 200, SwapFree: 200 }),
      );
      host.process(70, { args: ["redis-server 127.0.0.1:6379"] });
    },
    mend: () => host.write("proc/sys/vm/swappiness", "10\n"),
    targets: [redis],
    severity: "info",
    subject: "vm.swappiness = 60",
    evidence: /here run Redis$/,
  },
  {
    id: "host-clock",
    plant: () => host.delete("run/systemd"),
    mend: () => host.process(80, { args: ["/usr/sbin/chronyd", "-F", "1"] }),
    severity: "info",
    subject: "clock of this host",
    evidence: /^no time service runs/,
  },
  {
    id: "host-clock",
    plant: () => {
      host.delete("run/systemd");
      host.process(80, { args: ["/lib/systemd/systemd-timesyncd"] });
    },
    mend: () => host.write("run/systemd/timesync/synchronized", ""),
    severity: "info",
    subject: "clock of this host",
    evidence: /has not reached a time server yet$/,
  },
  {
    id: "host-zombie",
    plant: () => {
      host.process(7, { args: ["node", "/app/server.js"] });
      zombies(25);
    },
    mend: () => {
      for (let pid = 100; pid < 110; pid++) host.delete(`proc/${pid}`);
    },
    severity: "info",
    subject: "process 7 (node)",
    evidence: /^25 of its children have ended/,
  },
];

test.each(CASES)("$id: planted, found, mended, gone ($severity)", async (one) => {
  const scope = hostScope(host, { targets: one.targets ?? [] });
  expect(await findings(check(one.id), scope)).toEqual([]);
  one.plant();
  const [found] = await findings(check(one.id), scope);
  expect(found).toMatchObject({ severity: one.severity, subject: one.subject });
  expect(found!.evidence).toMatch(one.evidence);
  one.mend();
  expect(await findings(check(one.id), scope)).toEqual([]);
});

describe("disk", () => {
  const usage = (percent: number) => async () => ({
    bsize: 4096n,
    blocks: 1_000_000n,
    bfree: BigInt(1_000_000 - percent * 10_000),
    bavail: BigInt(1_000_000 - percent * 10_000),
  });

  test("one finding for each disk, with what it holds; severity by the thresholds", async () => {
    host.process(60, { args: ["redis-server *:6379"], cwd: "/srv/redis" });
    host.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sdb /srv xfs rw 0 0\n");
    const scope = hostScope(host, { targets: [redis] });
    const found = await findings(hostDisk(usage(90)), scope);
    expect(found.map(({ subject, severity }) => ({ subject, severity }))).toEqual([
      { subject: "disk /", severity: "warning" },
      { subject: "disk /srv", severity: "warning" },
    ]);
    expect(found[0]!.evidence).toBe(
      "90 % of 3.8 GiB in use, 390.6 MiB free; it holds the data file (/var/lib/opsctl/data.db), the state file (/var/lib/opsctl/state.db), the archives (/var/lib/opsctl/backups)",
    );
    expect(found[1]!.evidence).toContain("the data of Redis (/srv/redis)");
    expect(await findings(hostDisk(usage(96)), scope)).toMatchObject([
      { severity: "error" },
      { severity: "error" },
    ]);
    expect(await findings(hostDisk(usage(84)), scope)).toEqual([]);
    const strict = { ...DEFAULT_THRESHOLDS, disk_warning: 80 };
    expect(await findings(hostDisk(usage(84)), { ...scope, thresholds: strict })).toHaveLength(2);
  });

  test("inodes", async () => {
    const stat = (free: number) => async () => ({ files: 1000, ffree: free });
    const found = await findings(hostInodes(stat(50)), hostScope(host));
    expect(found[0]).toMatchObject({ severity: "warning", subject: "/var/lib/opsctl/data.db" });
    expect(found[0]!.evidence).toContain("950 of 1000 inodes in use (95.0 %)");
    expect((await findings(hostInodes(stat(0)), hostScope(host)))[0]).toMatchObject({ severity: "error" });
    expect(await findings(hostInodes(stat(500)), hostScope(host))).toEqual([]);
    // btrfs counts none
    expect(
      await findings(
        hostInodes(async () => ({ files: 0, ffree: 0 })),
        hostScope(host),
      ),
    ).toEqual([]);
  });
});

describe("where there is nothing to see", () => {
  test.each(["host-swap", "host-oom", "host-read-only", "host-zombie", "security-process-passwords"])(
    "%s says so without /proc",
    async (id) => {
      host.delete("proc");
      await expect(findings(check(id), hostScope(host))).rejects.toBeInstanceOf(Unknowable);
    },
  );

  test("of several servers the one that listens at the port of the URL", async () => {
    for (const pid of [70, 71]) host.process(pid, { args: [`redis-server *:${pid}`], limits: limits(100) });
    const of = async () =>
      (await findings(check("host-file-limit"), hostScope(host, { targets: [redis] }))).length;
    // nobody listens at the port: they are the servers of others
    expect(await of()).toBe(0);
    host.write(
      "proc/net/tcp",
      "  sl  local_address\n   0: 0100007F:18EB 00000000:0000 0A 0:0 0:0 0 0 0 4242 1\n",
    );
    mkdirSync(join(host.dir, "proc/71/fd"));
    symlinkSync("socket:[4242]", join(host.dir, "proc/71/fd/6"));
    const [found, ...others] = await findings(
      check("host-file-limit"),
      hostScope(host, { targets: [redis] }),
    );
    expect([found!.subject, others]).toEqual(["Redis (redis-server, process 71)", []]);
  });

  test("servers on other hosts are not looked for here", async () => {
    host.process(70, { args: ["redis-server 127.0.0.1:6379"], limits: limits(10), fds: 9 });
    const targets = [target("redis", "redis://db.example.com:6379/0")];
    expect(await findings(check("host-file-limit"), hostScope(host, { targets }))).toEqual([]);
  });
});

test("ids are unique, and every check says what it looks at", () => {
  const ids = hostChecks.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { id, title, looks } of hostChecks)
    expect([id, title !== "", looks !== ""]).toEqual([id, true, true]);
});
