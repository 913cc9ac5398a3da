import { execFileSync } from "node:child_process";
import { chmodSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readTool } from "../../../../src/child.ts";
import type { Check } from "../../../../src/health/doctor/check.ts";
import { hostChecks } from "../../../../src/health/doctor/checks/host.ts";
import type { KnownSecret, StackScope } from "../../../../src/health/doctor/scope.ts";
import { findings, HostRoot, hostScope, report, target } from "../../../support/doctor-host.ts";

const GOOD = "3f9c1a7be24d80516ca9e7d2";
const OTHER = "91b0d47fe63a28c5de70fa14";

let host: HostRoot;
beforeEach(() => {
  host = new HostRoot();
});
afterEach(() => host.remove());

const check = (id: string) => hostChecks.find((one) => one.id === id) as Check<StackScope>;
const secret = (name: string, value: string, source = "environment"): KnownSecret => ({
  name,
  value,
  source,
  file: null,
});
const near = target("redis", "redis://127.0.0.1:6379/0");
const far = target("redis", "redis://cache.example.com:6379/0");

describe("security-password-weak", () => {
  test.each([
    ["REDIS_PASSWORD", "redis", "warning", "error"],
    ["REDIS_PASSWORD", "Password", "warning", "error"],
    ["REDIS_PASSWORD", "esab_redis_password", "warning", "error"],
    ["REDIS_URL", "your_secure_redis_password_here_secret", "warning", "error"],
    ["REDIS_PASSWORD", "changeme-please-1234567", "warning", "error"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable that nobody filled in
    ["REDIS_PASSWORD", "${REDIS_PASSWORD}", "warning", "error"],
    ["REDIS_PASSWORD", "cache.example.com", "warning", "error"],
    ["REDIS_PASSWORD", "k8Qz!v0p", "warning", "warning"],
    ["REDIS_PASSWORD", "abababababababababababab", "warning", "warning"],
  ])("%s=%s: %s on loopback, %s beyond", async (name, value, onLoopback, beyond) => {
    const secrets = [secret(name, value)];
    const [far_] = await findings(
      check("security-password-weak"),
      hostScope(host, { targets: [far], secrets }),
    );
    expect(far_).toMatchObject({ severity: beyond, subject: `password of Redis (${name}, environment)` });
    const found = await findings(
      check("security-password-weak"),
      hostScope(host, { targets: [near], secrets }),
    );
    // the name of the other host means nothing here
    expect(found.map(({ severity }) => severity)).toEqual([
      value === "cache.example.com" ? "warning" : onLoopback,
    ]);
    const texts = JSON.stringify([far_, found]).toLowerCase();
    if (value !== "redis" && value !== "Password") expect(texts).not.toContain(value.toLowerCase());
  });

  test("a long random one is none, nor is what is no password of a server", async () => {
    const secrets = [
      secret("NEO4J_PASSWORD", GOOD),
      secret("DATABASE_URL", OTHER),
      secret("OPSCTL_PING_SUCCESS", "short"),
      secret("OPSCTL_BACKUP_SIGNING_KEY", "short"),
    ];
    expect(
      await findings(check("security-password-weak"), hostScope(host, { targets: [far], secrets })),
    ).toEqual([]);
  });

  test("20 characters are enough, 19 are not; one finding for one password in two settings", async () => {
    const of = (value: string) =>
      findings(
        check("security-password-weak"),
        hostScope(host, {
          secrets: [secret("DATABASE_URL", value), secret("BACKUP_DATABASE_URL", value, ".env")],
        }),
      );
    expect(await of(GOOD.slice(0, 20))).toEqual([]);
    expect((await of(GOOD.slice(0, 19))).map(({ subject }) => subject)).toEqual([
      "password of PostgreSQL (DATABASE_URL, environment, BACKUP_DATABASE_URL, .env)",
    ]);
  });
});

test("security-password-shared: the same password on two engines, not in two settings of one", async () => {
  const of = (...secrets: KnownSecret[]) =>
    findings(check("security-password-shared"), hostScope(host, { secrets }));
  const found = await of(secret("REDIS_PASSWORD", GOOD), secret("DATABASE_URL", GOOD));
  expect(found).toMatchObject([{ severity: "info", subject: "Redis, PostgreSQL" }]);
  expect(JSON.stringify(found)).not.toContain(GOOD);
  expect(await of(secret("REDIS_PASSWORD", GOOD), secret("DATABASE_URL", OTHER))).toEqual([]);
  expect(await of(secret("REDIS_PASSWORD", GOOD), secret("BACKUP_REDIS_URL", GOOD))).toEqual([]);
});

describe("security-password-missing", () => {
  const engines = [report("redis", "7.0.15")];
  const of = (url: string, asked: StackScope["engines"] = engines) =>
    findings(
      check("security-password-missing"),
      hostScope(host, { targets: [target("redis", url)], engines: asked }),
    );

  test("a server on the network that answers without one", async () => {
    expect(await of("redis://cache.example.com/0")).toMatchObject(
      [
        {
          severity: "error",
          subject: "Redis at cache.example.com",
          evidence: /its default user without a password/,
        },
      ].map((one) => ({ ...one, evidence: "it answered its default user without a password" })),
    );
  });

  test.each([
    ["with a password", `redis://:${GOOD}@cache.example.com/0`, engines],
    ["on loopback", "redis://localhost/0", engines],
    ["that was not reached", "redis://cache.example.com/0", [report("redis", null)]],
  ])("not one %s", async (_, url, asked) => expect(await of(url, asked)).toEqual([]));
});

describe("security-tls-off", () => {
  test.each([
    ["redis", "redis://db.example.com/0", "warning"],
    ["redis", "rediss://db.example.com/0", undefined],
    ["redis", "redis://127.0.0.1/0", undefined],
    ["redis", "redis://[::1]:6379/0", undefined],
    ["neo4j", "bolt://10.0.0.7:7687", "warning"],
    ["neo4j", "neo4j://db.example.com", "warning"],
    ["neo4j", "neo4j+ssc://db.example.com", "info"],
    ["neo4j", "bolt+s://db.example.com", undefined],
    ["neo4j", "neo4j://localhost", undefined],
    ["postgres", "postgresql://u@db.example.com/d", "warning"],
    ["postgres", "postgresql://u@db.example.com/d?sslmode=disable", "warning"],
    ["postgres", "postgresql://u@db.example.com/d?sslmode=no-verify", "info"],
    ["postgres", "postgresql://u@db.example.com/d?sslmode=require", undefined],
    ["postgres", "postgresql://u@db.example.com/d?sslmode=verify-full", undefined],
    ["postgres", "postgresql://u@localhost/d?host=/run/postgresql", undefined],
  ] as const)("%s %s: %s", async (engine, url, severity) => {
    const found = await findings(
      check("security-tls-off"),
      hostScope(host, { targets: [target(engine, url)] }),
    );
    expect(found.map((one) => one.severity)).toEqual(severity === undefined ? [] : [severity]);
  });
});

test.each([
  ["redis", "redis://localhost/0", undefined, 1],
  ["redis", "redis://default:x@localhost/0", undefined, 1],
  ["redis", "redis://app:x@localhost/0", undefined, 0],
  ["postgres", "postgresql://postgres@localhost/d", undefined, 1],
  ["postgres", "postgresql://app@localhost/d", undefined, 0],
  ["neo4j", "bolt://localhost", "neo4j", 1],
  ["neo4j", "bolt://localhost", "app", 0],
] as const)("security-default-user: %s %s %s", async (engine, url, user, count) => {
  const targets = [target(engine, url, user)];
  const found = await findings(check("security-default-user"), hostScope(host, { targets }));
  expect(found.map(({ severity }) => severity)).toEqual(Array(count).fill("info"));
});

describe("security-process-passwords", () => {
  const secrets = [secret("REDIS_PASSWORD", GOOD), secret("DATABASE_URL", "p@ss/w:rd+long-enough", ".env")];
  const of = () => findings(check("security-process-passwords"), hostScope(host, { secrets }));

  const GIVEN_AWAY = [
    [["redis-cli", "-a", GOOD, "MONITOR"], "warning", "REDIS_PASSWORD (environment) in -a"],
    [
      ["/usr/bin/redis-server", "--requirepass", GOOD],
      "warning",
      "REDIS_PASSWORD (environment) in --requirepass",
    ],
    [["python3", "worker.py", `redis://:${GOOD}@h/0`], "warning", "REDIS_PASSWORD (environment) in a URL"],
    [["worker", `--key=${GOOD}`], "warning", "REDIS_PASSWORD (environment) in an argument"],
    [["psql", "postgresql://u:p%40ss%2Fw%3Ard%2Blong-enough@h/d"], "warning", "DATABASE_URL (.env) in a URL"],
    [
      ["sh", "-c", `sleep 1; PGPASSWORD=${GOOD} psql`],
      "warning",
      "REDIS_PASSWORD (environment) in PGPASSWORD=",
    ],
    [["env", `NEO4J_AUTH=neo4j/${GOOD}`, "neo4j"], "warning", "REDIS_PASSWORD (environment) in NEO4J_AUTH="],
    [["redis-cli", "-h", "h", "-a", "somebodys"], "info", "a password in -a; it is none"],
    [["cypher-shell", "-u", "neo4j", "-p", "somebodys"], "info", "a password in -p; it is none"],
    [["mytool", "--password=somebodys"], "info", "a password in --password; it is none"],
    [["psql", "postgres://u:somebodys@h/d"], "info", "a password in a URL; it is none"],
    [["neo4j-admin", "dbms", "set-initial-password", "somebodys"], "info", "in set-initial-password"],
  ] as const;

  test("found with its process, its place and never its value; gone when the process is", async () => {
    for (const [at, [args]] of GIVEN_AWAY.entries()) host.process(4700 + at, { args });
    const found = await of();
    for (const [at, [args, severity, evidence]] of GIVEN_AWAY.entries()) {
      const one = found.find(({ subject }) => subject.startsWith(`process ${4700 + at} (`));
      expect([args, one?.severity]).toEqual([args, severity]);
      expect(one!.evidence).toContain(evidence);
    }
    expect(found).toHaveLength(GIVEN_AWAY.length);
    const text = JSON.stringify(found);
    for (const value of [GOOD, "somebodys", "p@ss", "p%40ss"]) expect(text).not.toContain(value);
    for (const at of GIVEN_AWAY.keys()) host.delete(`proc/${4700 + at}`);
    expect(await of()).toEqual([]);
  });

  test("what started this command is worth knowing, and ends with it", async () => {
    host.process(90, { args: ["bash", "-c", `REDIS_PASSWORD=${GOOD} opsctl doctor`] });
    host.process(91, { args: ["opsctl", "doctor"], status: "State:\tR\nPPid:\t90\n" });
    symlinkSync("91", join(host.dir, "proc/self"));
    const [found, ...others] = await of();
    expect(found).toMatchObject({ severity: "info", subject: "process 90 (bash)" });
    expect(found!.evidence).toMatch(/it started this command$/);
    expect(others).toEqual([]);
  });

  test.each([
    [["redis-cli", "-p", "6379", "PING"]],
    [["redis-cli", "-a"]],
    [["sh", "-c", 'redis-cli -a "$REDIS_PASSWORD" ping']],
    [["psql", "-U", "postgres", "-p", "5432"]],
    [["psql", "postgresql://postgres@localhost/d"]],
    [["tar", "-a", "-cf", "x.tar.gz"]],
    [["cp", "-p", "a", "b"]],
    [["mytool", "--password-file=/run/secrets/x"]],
    [["mytool", "--password", "--verbose"]],
    [["postgres: app d 127.0.0.1(5123) idle"]],
    [["psql", "postgresql://u:***@h/d"]],
  ])("%j gives nothing away", async (args) => {
    host.process(4711, { args });
    expect(await of()).toEqual([]);
  });

  test("a short or default password is no word to look for", async () => {
    host.process(4711, { args: ["postgres", "-D", "/srv/postgres"] });
    const known = { secrets: [secret("POSTGRES_PASSWORD", "postgres")] };
    expect(await findings(check("security-process-passwords"), hostScope(host, known))).toEqual([]);
    host.process(4712, { args: ["psql", "postgresql://u:postgres@h/d"] });
    expect(await findings(check("security-process-passwords"), hostScope(host, known))).toMatchObject([
      { severity: "warning", subject: "process 4712 (psql)" },
    ]);
  });
});

describe("files", () => {
  const file = (name: string, text: string, mode: number) => {
    const path = host.write(`files/${name}`, text);
    chmodSync(path, mode);
    return path;
  };
  /** Scope whose files are in the folder of the test. */
  const scoped = (over: Partial<StackScope["files"]>) =>
    hostScope(host, {
      files: {
        data: "/nowhere/d",
        state: "/nowhere/s",
        config: null,
        dotenv: null,
        archives: "/nowhere/a",
        ...over,
      },
      ask: (call, program, args) => readTool(call, program, args, { env: { GIT_CONFIG_NOSYSTEM: "1" } }),
    });

  test.each([
    ["config", "[default]\nredis_password = 'x'\n", 0o644, "warning"],
    ["config", "[default]\nredis_url = 'redis://:x@h/0'\n", 0o604, "warning"],
    ["dotenv", "export NEO4J_PASSWORD=x\n", 0o666, "warning"],
    ["dotenv", "NEO4J_PASSWORD=x\n", 0o640, "info"],
    ["config", "[default]\nredis_host = 'h'\n", 0o664, "warning"],
    ["state", "", 0o644, "warning"],
    ["data", "", 0o660, "warning"],
  ] as const)(
    "security-file-modes: %s %j with %o: %s, and chmod mends it",
    async (which, text, mode, severity) => {
      const path = file("x", text, mode);
      const scope = scoped({ [which]: path });
      const [found, ...others] = await findings(check("security-file-modes"), scope);
      expect(others).toEqual([]);
      expect(found).toMatchObject({ severity, subject: path, remedies: [{ safe: true }] });
      expect(found!.evidence).toContain(`has mode 0${mode.toString(8)}`);
      const [program, ...args] = found!.remedies[0]!.argv;
      execFileSync(program!, args);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(await findings(check("security-file-modes"), scope)).toEqual([]);
    },
  );

  test.each([
    ["config", "[default]\nredis_host = 'h'\nredis_password_file = '/run/secrets/redis'\n", 0o644],
    ["config", "[default]\nredis_password = 'x'\n", 0o600],
    ["dotenv", "# NEO4J_PASSWORD=x\nREDIS_HOST=h\n", 0o644],
  ] as const)("security-file-modes: %s %j with %o is fine", async (which, text, mode) => {
    expect(await findings(check("security-file-modes"), scoped({ [which]: file("x", text, mode) }))).toEqual(
      [],
    );
  });

  test("security-file-modes: a file that holds one secret; not one that a container was given", async () => {
    const path = file("key", `${GOOD}\n`, 0o644);
    const of = (named: string) =>
      findings(check("security-file-modes"), {
        ...scoped({}),
        secrets: [{ ...secret("REDIS_PASSWORD", GOOD), file: named }],
      });
    expect(await of(path)).toMatchObject([
      {
        severity: "warning",
        subject: path,
        evidence: "the file of REDIS_PASSWORD has mode 0644: everybody may read it",
      },
    ]);
    chmodSync(path, 0o400);
    expect(await of(path)).toEqual([]);
    expect(await of("/run/secrets/redis")).toEqual([]);
  });

  test("security-file-modes: the log beside a database file counts as the file does", async () => {
    const state = file("s", "", 0o600);
    file("s-wal", "", 0o644);
    expect(await findings(check("security-file-modes"), scoped({ state }))).toMatchObject([
      { subject: `${state}-wal` },
    ]);
  });

  test("security-secrets-in-git: not ignored, tracked, ignored, and without a repository", async () => {
    const dotenv = file(".env", `REDIS_PASSWORD=${GOOD}\n`, 0o600);
    const folder = join(host.dir, "files");
    const git = (...args: string[]) => execFileSync("git", ["-C", folder, ...args], { stdio: "pipe" });
    const of = () => findings(check("security-secrets-in-git"), scoped({ dotenv }));
    expect(await of()).toEqual([]);
    git("init", "--quiet");
    expect(await of()).toMatchObject([{ severity: "warning", subject: dotenv }]);
    git("add", ".env");
    const [tracked] = await of();
    expect(tracked).toMatchObject({ severity: "error", subject: dotenv });
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "x");
    expect(await of()).toMatchObject([{ severity: "error" }]);
    const [program, ...args] = tracked!.remedies[0]!.argv;
    execFileSync(program!, args, { stdio: "pipe" });
    writeFileSync(join(folder, ".gitignore"), "/.env\n");
    expect(await of()).toEqual([]);
    // one without secrets may be tracked
    writeFileSync(dotenv, "REDIS_HOST=h\n");
    git("add", "--force", ".env");
    expect(await of()).toEqual([]);
  });
});
