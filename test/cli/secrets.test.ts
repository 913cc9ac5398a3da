/** A canary in every URL and password: it is in no output, error, log or state file of any command. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ran, Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

/** As written in a URL, and as the password that it stands for. */
const CANARY = "kanarie%2Fv0gel%40%C3%A9%3F";
const PLAIN = decodeURIComponent(CANARY);
const CLOSED = "127.0.0.1:1";
const URLS = {
  NEO4J_URI: `bolt://neo4j:${CANARY}@${CLOSED}`,
  DATABASE_URL: `postgresql://app:${CANARY}@${CLOSED}/memori?sslmode=disable&sslpassword=${CANARY}`,
  REDIS_URL: `redis://app:${CANARY}@${CLOSED}/0`,
};
const PASSWORDS = { NEO4J_PASSWORD: PLAIN, POSTGRES_PASSWORD: PLAIN, REDIS_PASSWORD: PLAIN };
const PLACES = {
  NEO4J_URI: `bolt://${CLOSED}`,
  POSTGRES_HOST: "127.0.0.1",
  POSTGRES_PORT: "1",
  REDIS_HOST: "127.0.0.1",
  REDIS_PORT: "1",
};
const LOUD = { OBS_AGENT_LOG_LEVEL: "DEBUG", OPSCTL_CONNECT_TIMEOUT: "1s" };

const forms = (suffix: string, value: string) =>
  Object.fromEntries(Object.keys(PASSWORDS).map((name) => [`${name}${suffix}`, value]));

/** No form of the canary: as written, decoded, JSON, base64. Its middle part has no special character. */
function expectSilence({ stdout, stderr }: Ran): void {
  for (const text of [stdout, stderr]) {
    expect(text).not.toContain("v0gel");
    expect(text).not.toContain("kanarie");
    expect(text).not.toContain(Buffer.from(PLAIN).toString("base64").slice(0, 12));
  }
}

const COMMANDS = [
  ["env"],
  ["register-agent", "a", "--server", "h"],
  ["agents"],
  ["agents", "heartbeat", "a"],
  ["remember", "issue:x", "y"],
  ["recall", "x"],
  ["fixes"],
  ["fixes", "--events"],
  ["fixes", "similar", "x"],
  ["fixes", "patterns"],
  ["fixes", "success-rate"],
  ["fixes", "show", "nothing"],
  ["fixes", "forget", "nothing", "--yes"],
  ["fixes", "export"],
  ["fixes", "import", "event.ndjson"],
  ["stats"],
  ["health"],
  ["init", "--dry-run"],
  ["init"],
  ["init", "--list"],
  ["queue"],
  ["queue", "sync"],
  ["queue", "drop", "1", "--yes"],
  ["fixes", "--limit", "x"],
];

beforeAll(() => {
  box.file("password", `${PLAIN}\n`);
  box.file("event.ndjson", '{"key": "k", "content": "c"}\n');
  mkdirSync(join(box.cwd, "with-dotenv"));
  const toml = (values: Record<string, string>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
      .join("");
  box.file("all.toml", `[default]\n${toml(URLS)}[places]\n${toml({ ...PLACES, ...PASSWORDS })}`);
  box.file("with-dotenv/opsctl.toml", "[default]\nREDIS_DB = 1\n");
  const dotenv = Object.entries(URLS).map(([name, value]) => `${name}="${value}"\n`);
  box.file("with-dotenv/.env", dotenv.join(""));
});

test.each(COMMANDS)("URLs: %s %s", async (...args) => {
  const env = { ...URLS, ...LOUD };
  const plain = await box.run([...args, "-v"], { env });
  const other = { ...env, OPSCTL_STATE: join(box.dir, "other-state.db") };
  const asJson = await box.run([...args, "--json", "-v"], { env: other });
  expect(plain.stdout + plain.stderr).not.toBe("");
  expectSilence(plain);
  expectSilence(asJson);
});

describe("every way to give a password", () => {
  const SOURCES: Record<string, { env: Record<string, string>; args?: string[] }> = {
    "URL_FILE and URL_COMMAND": {
      env: { NEO4J_URI_COMMAND: `echo ${URLS.NEO4J_URI}`, REDIS_URL_COMMAND: `echo ${URLS.REDIS_URL}` },
    },
    "X beside a host": { env: { ...PLACES, ...PASSWORDS } },
    X_FILE: { env: { ...PLACES, ...forms("_FILE", "password") } },
    X_COMMAND: { env: { ...PLACES, ...forms("_COMMAND", "cat password") } },
    "opsctl.toml": { env: {}, args: ["--config", "all.toml"] },
    "a profile": { env: {}, args: ["--config", "all.toml", "--profile", "places"] },
    ".env": { env: { OPSCTL_CONFIG: "with-dotenv/opsctl.toml" } },
  };
  test.each(Object.entries(SOURCES))("%s", async (_, { env, args = [] }) => {
    const used = await box.ok(["env", ...args], { env });
    expect(used).toMatch(/neo4j connection\tbolt:\/\/127\.0\.0\.1:1\S*\tin use/);
    expect(used).toContain("***");
    expect(used).not.toContain("v0gel");
    for (const command of [["stats"], ["health", "--json"], ["remember", "issue:x", "y"]])
      expectSilence(await box.run([...command, ...args, "-v"], { env: { ...env, ...LOUD } }));
  });
});

describe("errors of the configuration", () => {
  const BROKEN: Record<string, Record<string, string>> = {
    "a URL that does not parse": { DATABASE_URL: `postgresql://app:${PLAIN} x@[::1/db` },
    "a port that is none": { REDIS_URL: `redis://app:${CANARY}@127.0.0.1:port` },
    "a scheme nobody speaks": { NEO4J_URI: `gopher://app:${CANARY}@127.0.0.1` },
    "a host that is missing": { NEO4J_URI: `bolt://app:${CANARY}@` },
    "a password in the wrong variable": { NEO4J_URI: PLAIN },
    "a percent sign alone": { DATABASE_URL: `postgresql://app:${CANARY}%@127.0.0.1:1/db` },
    "a line break": { POSTGRES_PASSWORD: `${PLAIN}\nx`, POSTGRES_HOST: "127.0.0.1" },
    "a command that prints it and fails": { POSTGRES_PASSWORD_COMMAND: "cat password nowhere" },
    "X and X_FILE": { REDIS_PASSWORD: PLAIN, REDIS_PASSWORD_FILE: "password" },
    "a setting beside it": { ...URLS, POSTGRES_PORT: "none" },
  };
  test.each(Object.entries(BROKEN))("%s", async (_, env) => {
    for (const flags of [["-v"], ["-v", "--json"]]) {
      const one = await box.run(["stats", ...flags], { env: { ...env, ...LOUD } });
      expect(one.code).toBe(2);
      expectSilence(one);
    }
  });
});

test("what was queued holds no password, and env shows where each one comes from", async () => {
  const env = { ...URLS, ...LOUD, OPSCTL_STATE: join(box.dir, "queued.db") };
  await box.ok(["remember", "issue:x", "y"], { env });
  const file = readFileSync(join(box.dir, "queued.db")).toString("latin1");
  expect(file).toContain("issue:x");
  expect(file).not.toContain("v0gel");
  const shown = JSON.parse(await box.ok(["env", "--json"], { env }));
  expect(shown.settings).toContainEqual({
    name: "NEO4J_URI",
    value: `bolt://neo4j:***@${CLOSED}`,
    source: "environment",
  });
  expect(shown.connections).toContainEqual({
    engine: "redis",
    configured: true,
    url: `redis://app:***@${CLOSED}/0`,
  });
});
