/** Why a server does not answer, on real ones: each cause has one finding, that of its own check, and goes with the cause. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectionChecks } from "../../src/health/doctor/checks/index.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { type LookOptions, look, lookAll } from "../support/doctor-scope.ts";
import { startProxy } from "../support/proxy.ts";
import {
  freePort,
  type OwnRedis,
  ownRedis,
  postgresDatabase,
  type TestDatabase,
} from "../support/servers.ts";

let box: Sandbox;
let redis: OwnRedis;
let tlsPort: number;
let database: TestDatabase;

beforeAll(async () => {
  box = new Sandbox();
  const certificate = join(box.dir, "cert.pem");
  const key = join(box.dir, "key.pem");
  const subject = ["-subj", "/CN=redis.example", "-addext", "subjectAltName=DNS:localhost,DNS:redis.example"];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      certificate,
      ...subject,
    ],
    { stdio: "ignore" },
  );
  tlsPort = await freePort();
  const tls = {
    port: String(tlsPort),
    "cert-file": certificate,
    "key-file": key,
    "ca-cert-file": certificate,
  };
  const args = Object.entries(tls).flatMap(([name, value]) => [`--tls-${name}`, value]);
  [redis, database] = await Promise.all([
    ownRedis([...args, "--tls-auth-clients", "no"]),
    postgresDatabase(),
  ]);
});
afterAll(async () => {
  await redis?.stop();
  await database?.drop();
  box?.remove();
});

/** What all checks of connections find. */
const findings = (env: Record<string, string>, options: LookOptions = {}) =>
  lookAll(box, connectionChecks, { env, ...options });

/** The one check that finds something, and its evidence. */
async function cause(env: Record<string, string>, options: LookOptions = {}): Promise<string> {
  const all = await findings(env, options);
  return all.map(({ id, found: { severity, evidence } }) => `${severity} ${id}: ${evidence}`).join("\n");
}

const at = (port: number, host = "127.0.0.1") => `redis://:${redis.password}@${host}:${port}`;
const postgresPort = () => Number(new URL(database.url).port);

describe("where something else is wrong than the server", () => {
  it("a name without an address", async () => {
    expect(await cause({ REDIS_URL: "redis://nowhere.invalid:1" })).toMatch(
      /^error connection-dns: the resolver has no address for nowhere\.invalid \(E[A-Z_]+\)$/,
    );
  });

  it("a port where nothing listens", async () => {
    const port = await freePort();
    expect(await cause({ REDIS_URL: at(port) })).toBe(
      `error connection-refused: connections to port ${port} of 127.0.0.1 are refused: nothing listens there`,
    );
  });

  it("a server that listens on another address of this host", async () => {
    expect(await cause({ REDIS_URL: at(redis.port, "127.0.0.2") })).toBe(
      `error connection-address: port ${redis.port} of this host is open on 127.0.0.1 only; the URL names 127.0.0.2`,
    );
  });

  it("ports of other servers, all at once", async () => {
    const env = {
      DATABASE_URL: `postgresql://a:b@127.0.0.1:${redis.port}/x`,
      NEO4J_URI: `bolt://127.0.0.1:${redis.port}`,
      REDIS_URL: at(postgresPort()),
    };
    const met = (await cause(env)).split("\n");
    expect(met.map((line) => line.split(";")[0])).toEqual([
      "error connection-protocol: Redis answers there, not Neo4j",
      "error connection-protocol: Redis answers there, not PostgreSQL",
      "error connection-protocol: PostgreSQL answers there, not Redis",
    ]);
    expect(met.join()).not.toContain(redis.password);
  });
});

describe("what a server says no to", () => {
  it("passwords", async () => {
    const wrong = new URL(database.url);
    wrong.password = "wrong-password";
    const env = { REDIS_URL: `redis://:wrong-password@127.0.0.1:${redis.port}`, DATABASE_URL: wrong.href };
    const found = await findings(env);
    expect(found.map(({ id, found: { subject } }) => [id, subject.split(" ")[0]])).toEqual([
      ["connection-authentication", "postgres"],
      ["connection-authentication", "redis"],
    ]);
    expect(JSON.stringify(found)).not.toContain("wrong-password");
  });

  it("a database that is not there, made by its remedy", async () => {
    const url = new URL(database.url);
    url.pathname += "_more";
    const env = { DATABASE_URL: url.href };
    const [missing, ...more] = await findings(env);
    expect(more).toEqual([]);
    expect(missing!.id).toBe("connection-unavailable");
    await mend(box, env, missing!.found);
    try {
      expect(await cause(env)).toBe("");
    } finally {
      execFileSync("psql", ["-qX", "-d", database.url, "-c", `DROP DATABASE "${url.pathname.slice(1)}"`]);
    }
  });
});

describe("TLS", () => {
  const tls = (host: string) => ({ REDIS_URL: at(tlsPort, host).replace("redis:", "rediss:") });

  it("a certificate that nobody vouches for, of another name, or whose time is over", async () => {
    expect(await cause(tls("localhost"))).toMatch(
      /^error connection-tls: the certificate for DNS:localhost, DNS:redis\.example was signed by itself, which this host does not trust; opsctl met: /,
    );
    expect(await cause(tls("127.0.0.1"))).toContain(
      "connection-tls: the certificate is for DNS:localhost, DNS:redis.example, not for 127.0.0.1",
    );
    const over = { now: Date.now() + 3 * 86_400_000 };
    expect(await cause(tls("localhost"), { over })).toMatch(
      /connection-tls: the certificate for .* ended at 20\d\d-/,
    );
  });

  it("a server without it, and one that takes nothing else", async () => {
    const postgres = new URL(database.url);
    postgres.searchParams.set("sslmode", "verify-full");
    const met = await cause({ REDIS_URL: at(tlsPort), DATABASE_URL: postgres.href });
    expect(met).toContain("connection-tls: PostgreSQL speaks no TLS at this port");
    expect(met).toContain("connection-tls: Redis takes TLS only");
  });
});

describe("a server that stands still, or is slow", () => {
  it("frozen beside a wrong password and a wrong port: each has its own finding", async () => {
    const wrong = new URL(database.url);
    wrong.password = "wrong-password";
    const env = {
      REDIS_URL: redis.url,
      DATABASE_URL: wrong.href,
      NEO4J_URI: `bolt://127.0.0.1:${postgresPort()}`,
    };
    process.kill(redis.pid, "SIGSTOP");
    try {
      const met = (await cause(env)).split("\n").toSorted();
      expect(met.map((line) => line.split(":")[0])).toEqual([
        "error connection-authentication",
        "error connection-protocol",
        "error connection-unreachable",
      ]);
      expect(met[2]).toMatch(
        /: it takes connections and answers none of them; opsctl met: Redis .*gave no answer within \d+ ms$/,
      );
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    expect(await cause({ REDIS_URL: redis.url, DATABASE_URL: database.url })).toBe("");
  });

  it("slow: worth knowing", async () => {
    const proxy = await startProxy({ target: { host: "127.0.0.1", port: redis.port } });
    try {
      proxy.latency(300);
      const [found] = await look(box, "connection-latency", { env: { REDIS_URL: at(proxy.port) } });
      expect(found).toMatchObject({ severity: expect.stringMatching(/^(info|warning)$/), remedies: [] });
      expect(found!.evidence).toMatch(/^a trivial query took \d+ ms$/);
    } finally {
      await proxy.close();
    }
  });
});
