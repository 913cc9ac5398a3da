/**
 * Every server wrong in another way at the same time: `health`, `stats`, `doctor` and `wait` say for each what it is, hide no other, and print no
 * secret. In six rounds each engine is down, frozen, slow, refuses the password, is another program, and shows a certificate of another host.
 * Redis, which is this file's own, is frozen by SIGSTOP; the other two are everybody's, and freeze behind their proxies.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext, createServer as createTlsServer, TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conforming, type Ran, Sandbox } from "../support/cli.ts";
import { type Stack, startStack } from "../support/stack.ts";

type Engine = "neo4j" | "postgres" | "redis";
type Fault = "down" | "frozen" | "slow" | "password" | "protocol" | "certificate";

const WRONG = "wrong-Secret-0123456789";
const VARIABLES = { neo4j: "NEO4J_URI", postgres: "DATABASE_URL", redis: "REDIS_URL" } as const;
/** How much later an answer comes, ms. Redis needs the fewest of them. */
const SLOW_MS = { neo4j: 300, postgres: 300, redis: 500 } as const;
/** Figures that stay the same while nobody writes. */
const STEADY = {
  neo4j: ["version", "nodes", "constraint_count", "index_count"],
  postgres: ["version", "table_count", "index_count"],
  redis: ["version", "role", "keys"],
} as const;
const OTHERS = { neo4j: "redis", postgres: "redis", redis: "postgres" } as const;
const TLS_URLS = {
  neo4j: () => `bolt+s://localhost:${tls.direct}`,
  postgres: () => `postgresql://u:${WRONG}@localhost:${tls.asked}/d?sslmode=verify-full`,
  redis: () => `rediss://:${WRONG}@localhost:${tls.direct}`,
};

let sandbox: Sandbox;
let stack: Stack;
/** What `stats` says of each when nothing is wrong. */
let figures: Record<Engine, Record<string, unknown>>;
let tls: { servers: Server[]; direct: number; asked: number; folder: string };
/** Servers whose certificate names another host: one for TLS from the first byte, one for what PostgreSQL does before. */
async function startTls(): Promise<typeof tls> {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-tls-"));
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=elsewhere.example", "-addext", "subjectAltName=DNS:elsewhere.example"];
  const made = ["-nodes", "-keyout", keyFile, "-out", certFile];
  execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...made, ...subject], { stdio: "ignore" });
  const certificate = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
  const direct = createTlsServer(certificate, (socket) => socket.on("error", () => {}));
  const asked = createServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      // the one byte that answers an SSLRequest, in clear
      socket.write("S");
      const secureContext = createSecureContext(certificate);
      new TLSSocket(socket, { isServer: true, secureContext }).on("error", () => {});
    });
  });
  const ports = await Promise.all([direct, asked].map(listening));
  return { servers: [direct, asked], direct: ports[0]!, asked: ports[1]!, folder };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

/** Makes a server wrong, and returns what differs in the environment. */
async function plant(engine: Engine, fault: Fault): Promise<Record<string, string>> {
  const { proxy } = stack[engine];
  const variable = VARIABLES[engine];
  if (fault === "down") await proxy.down();
  if (fault === "frozen" && engine === "redis") process.kill(stack.redis.pid, "SIGSTOP");
  else if (fault === "frozen") proxy.timeout();
  if (fault === "slow") proxy.latency(SLOW_MS[engine]);
  if (fault === "protocol") {
    return { [variable]: withPort(stack.env[variable]!, stack[OTHERS[engine]].url) };
  }
  if (fault === "certificate") return { [variable]: TLS_URLS[engine]() };
  if (fault !== "password") return {};
  return engine === "neo4j" ? { NEO4J_PASSWORD: WRONG } : { [variable]: withPassword(stack.env[variable]!) };
}

function withPort(url: string, other: string): string {
  const changed = new URL(url);
  changed.port = new URL(other).port;
  return changed.href;
}

function withPassword(url: string): string {
  const changed = new URL(url);
  changed.password = WRONG;
  return changed.href;
}

const CODES: Record<Fault, string | null> = {
  down: "unreachable",
  frozen: "unreachable",
  slow: null,
  password: "auth",
  protocol: "unreachable",
  certificate: "unreachable",
};
const FINDINGS: Record<Fault, string> = {
  down: "connection-refused",
  frozen: "connection-unreachable",
  slow: "connection-latency",
  password: "connection-authentication",
  protocol: "connection-protocol",
  certificate: "connection-tls",
};

/** What is wrong with each engine, in each round. */
type Round = [neo4j: Fault, postgres: Fault, redis: Fault];
export const ROUNDS: readonly Round[] = [
  ["frozen", "down", "slow"],
  ["password", "frozen", "protocol"],
  // Redis, at whose port the other two look here, must be awake
  ["protocol", "protocol", "password"],
  ["down", "password", "frozen"],
  ["slow", "slow", "down"],
  ["certificate", "certificate", "certificate"],
];

/** The tests of these rounds, on a stack of their own. */
export function testFaults(rounds: readonly Round[]): void {
  beforeAll(async () => {
    sandbox = new Sandbox({ shared: true });
    stack = await startStack(sandbox);
    figures = (await sandbox.json("stats", ["stats"], { env: stack.env })) as typeof figures;
    tls = await startTls();
  });
  afterAll(async () => {
    if (stack) process.kill(stack.redis.pid, "SIGCONT");
    await stack?.stop();
    for (const server of tls?.servers ?? []) server.close();
    rmSync(tls?.folder ?? "", { recursive: true, force: true });
    sandbox?.remove();
  });

  describe.each([...rounds])("neo4j: %s, postgres: %s, redis: %s", (...faults) => {
    const planted = { neo4j: faults[0], postgres: faults[1], redis: faults[2] };
    const engines = Object.keys(planted) as Engine[];
    const codes = engines.map((engine) => [engine, CODES[planted[engine]]]);
    const isSlow = (engine: Engine) => planted[engine] === "slow";
    let env: Record<string, string>;
    beforeAll(async () => {
      const changes = [];
      for (const engine of engines) changes.push(await plant(engine, planted[engine]));
      // a slow server connects in many steps; one that is frozen takes as long
      const limits = engines.some(isSlow)
        ? { OPSCTL_HEALTH_BUDGET: "4s", OPSCTL_CONNECT_TIMEOUT: "4s" }
        : { OPSCTL_HEALTH_BUDGET: "3s" };
      env = Object.assign({ ...stack.env, ...limits }, ...changes);
    });
    afterAll(async () => {
      process.kill(stack.redis.pid, "SIGCONT");
      await Promise.all(engines.map((engine) => stack[engine].proxy.up()));
    });

    async function run(args: string[]): Promise<Ran & { json: never }> {
      const ran = await sandbox.run([...args, "--json"], { env });
      const output = ran.stdout + ran.stderr;
      const secrets = [
        WRONG,
        stack.neo4j.password,
        stack.redis.password,
        new URL(stack.postgres.url).password,
      ];
      for (const secret of secrets) expect(output).not.toContain(secret);
      expect(output).not.toMatch(/^\s+at .+:\d+:\d+/m);
      const contract = args[0] === "doctor" ? "doctor" : args[0]!;
      return { ...ran, json: conforming(contract, ran.stdout) as never };
    }

    test("health and stats say which, and what of it; doctor says why", async () => {
      const [health, stats, doctor] = await Promise.all([
        run(["health"]),
        run(["stats"]),
        run(["doctor", "connection"]),
      ]);
      type Coded = { engine: Engine; code: string | null };
      type Report = Coded & { status: string; latency_ms: number | null };
      const asked = (reports: Coded[]) => reports.map(({ engine, code }) => [engine, code]);
      const { engines: reports } = health.json as { engines: Report[] };
      expect(asked(reports.filter(({ engine }) => engine in planted))).toEqual(codes);
      expect(health.code).toBe(isSlow("neo4j") || isSlow("postgres") ? 3 : 4);

      const { degraded } = stats.json as { degraded: Coded[] };
      const missing = codes.filter(([, code]) => code !== null);
      expect(asked(degraded).sort()).toEqual(missing.sort());
      expect(stats.code).toBe(0);
      // what is frozen or gone beside a slow server costs it neither its answer nor a figure
      const seen = stats.json as Record<Engine, Record<string, unknown> | null>;
      for (const engine of engines.filter((one) => !isSlow(one))) expect(seen[engine]).toBeNull();
      for (const engine of engines.filter(isSlow)) {
        const report = reports.find((one) => one.engine === engine)!;
        expect(report).toMatchObject({ status: "connected", version: expect.stringMatching(/^\d/) });
        expect(report.latency_ms).toBeGreaterThanOrEqual(SLOW_MS[engine]);
        for (const name of STEADY[engine]) {
          expect(seen[engine]![name], name).toEqual(figures[engine][name]);
          expect(seen[engine]![name] ?? null, name).not.toBeNull();
        }
      }

      const { findings } = doctor.json as {
        findings: { check: string; subject: string; remedies: unknown[]; advice: string | null }[];
      };
      for (const engine of engines) {
        const found = findings.find(
          ({ check, subject }) =>
            check === FINDINGS[planted[engine]] &&
            new RegExp(engine, "i").test(subject.replace("PostgreSQL", "postgres")),
        );
        expect(
          found,
          `${FINDINGS[planted[engine]]} of ${engine} in ${JSON.stringify(findings)}`,
        ).toBeDefined();
        expect(found!.remedies.length > 0 || found!.advice !== null).toBe(true);
      }
    });
  });
}
