/** What a start loads, the exit codes in every help, and the answer of a Node that is too old. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODE_MEANINGS, EXIT_CODES } from "../../src/errors.ts";
import { BIN, collect, ROOT, Sandbox } from "../support/cli.ts";

const box = new Sandbox();
afterAll(() => box.remove());

/** Texts that only the sources of a package hold; the bundle keeps them, whatever its chunks are called. */
const MARKERS: Record<string, string> = {
  "neo4j-driver": "ServiceUnavailable",
  pg: "SASL: SCRAM-SERVER-FIRST-MESSAGE",
  ioredis: "MaxRetriesPerRequestError",
  valibot: "~standard",
  execa: "ExecaError",
  "cli-table3": "truncation",
  "smol-toml": "Invalid TOML document",
  commander: "commander.unknownOption",
};
const DRIVERS = ["neo4j-driver", "pg", "ioredis", "better-sqlite3"];

/** Packages of which a command loaded something, and the number of files. */
async function loadedBy(args: string[], env: Record<string, string> = {}) {
  const log = join(box.dir, `loaded-${args.join("-").replaceAll("/", "_")}.txt`);
  writeFileSync(log, "");
  const options = { node: ["--import", join(box.cwd, "watch.mjs")], env: { ...env, LOADED: log } };
  const { code } = await box.run(args, options);
  const urls = readFileSync(log, "utf8").trim().split("\n");
  const files = urls.filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url));
  const texts = files.map((file) => (/\.[cm]?js$/.test(file) ? readFileSync(file, "utf8") : ""));
  const packages = Object.entries(MARKERS)
    .filter(([, marker]) => texts.some((text) => text.includes(marker)))
    .map(([name]) => name);
  if (files.some((file) => file.includes("better-sqlite3"))) packages.push("better-sqlite3");
  return { code, packages, files };
}

beforeAll(() => {
  box.file(
    "watch.mjs",
    `import { appendFileSync } from "node:fs";
import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.LOADED, url + "\\n");
    return next(url, context);
  },
});
`,
  );
});

describe("loaded modules", () => {
  test("the watch sees every package where it is used", async () => {
    const env = {
      NEO4J_URI: "bolt://127.0.0.1:1",
      DATABASE_URL: "postgresql://u@127.0.0.1:1/x",
      REDIS_URL: "redis://127.0.0.1:1",
      REDIS_PASSWORD_COMMAND: "echo hunter22",
      OPSCTL_CONFIG: box.file("settings.toml", "[default]\nREDIS_DB = 1\n"),
      OPSCTL_STATE: join(box.dir, "watched-state.db"),
    };
    const stats = await loadedBy(["remember", "issue:x", "y"], env);
    const health = await loadedBy(["health"], env);
    const help = await loadedBy(["help", "json"]);
    const seen = new Set([...stats.packages, ...health.packages, ...help.packages]);
    const withoutTable = Object.keys(MARKERS).filter((name) => name !== "cli-table3");
    expect([...seen].sort()).toEqual([...withoutTable, "better-sqlite3"].sort());
    const chunks = readdirSync(join(ROOT, "dist", "chunks")).map((name) =>
      join(ROOT, "dist", "chunks", name),
    );
    expect(chunks.some((file) => readFileSync(file, "utf8").includes(MARKERS["cli-table3"]!))).toBe(true);
  });

  test("--version loads the entry alone", async () => {
    const { code, packages, files } = await loadedBy(["--version"]);
    expect({ code, packages }).toEqual({ code: 0, packages: [] });
    const own = files.filter((file) => !file.endsWith("watch.mjs"));
    expect(own).toContain(join(ROOT, "dist", "main.js"));
    expect(own.every((file) => file.startsWith(ROOT) && !file.includes("node_modules"))).toBe(true);
  });

  test.each([
    [["--help"]],
    [["help"]],
    [["help", "exit-codes"]],
    [["help", "environment"]],
    [["fixes", "--help"]],
    [["recall", "--help"]],
    [["init", "--help"]],
    [["completion", "bash"]],
    [["fixes", "--limit", "x"]],
    [["frob"]],
  ])("%s loads the argument parser and no driver", async (args) => {
    expect((await loadedBy(args)).packages).toEqual(["commander"]);
  });

  test.each([
    [["fixes", "--json"]],
    [["recall", "x", "--json"]],
    [["remember", "issue:x", "y"]],
    [["agents"]],
    [["stats", "--json"]],
  ])("%s on the embedded file loads one driver and nothing that it does not need", async (args) => {
    const { code, packages } = await loadedBy(args);
    expect({ code, packages }).toEqual({ code: 0, packages: ["commander", "better-sqlite3"] });
  });

  test("env opens nothing, so it loads no driver", async () => {
    const { packages } = await loadedBy(["env"], { DATABASE_URL: "postgresql://u@127.0.0.1:1/x" });
    expect(packages.filter((name) => DRIVERS.includes(name))).toEqual([]);
  });
});

describe("help", () => {
  test("every command and subcommand lists the exit codes", async () => {
    const codes = `Exit codes: ${Object.values(EXIT_CODES).join(", ")};`;
    const top = await box.ok(["--help"]);
    const listed = [...top.matchAll(/^ {2}([a-z][a-z-]*) {2,}\S/gm)].map(([, name]) => name!);
    expect(listed).toEqual(expect.arrayContaining(["init", "fixes", "recall", "health", "queue", "env"]));
    const paths = listed.map((name) => [name]);
    for (const [name] of paths.slice()) {
      const text = await box.ok([name!, "--help"]);
      const [, subs = ""] = /^Commands:\n((?: .*\n)+)/m.exec(text) ?? [];
      for (const [, sub] of subs.matchAll(/^ {2}([a-z][a-z-]*) {2,}\S/gm)) paths.push([name!, sub!]);
    }
    expect(paths).toEqual(
      expect.arrayContaining([
        ["fixes", "import"],
        ["queue", "sync"],
        ["agents", "heartbeat"],
      ]),
    );
    for (const path of [[], ...paths]) expect(await box.ok([...path, "--help"])).toContain(codes);
  });

  test("help exit-codes explains each of them; the numbers are API", async () => {
    const text = await box.ok(["help", "exit-codes"]);
    for (const [name, code] of Object.entries(EXIT_CODES)) {
      const meaning = EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES];
      expect(text).toContain(`${String(code).padStart(4)}  ${meaning}\n`);
    }
    expect(EXIT_CODES).toEqual({
      ok: 0,
      failed: 1,
      usage: 2,
      partial: 3,
      no: 4,
      unreachable: 20,
      auth: 21,
      locked: 22,
      integrity: 23,
      unknown_outcome: 24,
      not_found: 25,
      interrupted: 130,
      terminated: 143,
    });
  });

  test("no argument prints the help, and configuration that is broken does not matter", async () => {
    const env = { REDIS_URL: "broken", OPSCTL_CONFIG: "nowhere.toml" };
    expect(await box.ok([], { env })).toBe(await box.ok(["--help"], { env }));
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    for (const args of [["--version"], ["fixes", "--version"]])
      expect(await box.ok(args, { env })).toBe(`${version}\n`);
  });
});

describe("a Node that is too old", () => {
  /** Programs called node on PATH that are older than what we need, and this one that says it is. */
  const old = [...new Set((process.env["PATH"] ?? "").split(delimiter))]
    .map((folder) => join(folder, "node"))
    .filter((file) => existsSync(file) && isTooOld(versionOf(file)))
    .map((file): [string, string, string[]] => [versionOf(file), file, []]);
  const pretend = (version: string): [string, string, string[]] => {
    const data = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
    return [version, process.execPath, ["--import", `data:text/javascript,${encodeURIComponent(data)}`]];
  };

  test.each([...old, pretend("18.20.4"), pretend("20.19.0"), pretend("22.14.0")])(
    "%s: one line that says what to install, exit 2",
    async (version, node, flags) => {
      const child = spawn(node, [...flags, BIN, "fixes", "--json"], { cwd: box.cwd, env: box.env() });
      expect(await collect(child)).toEqual({
        code: 2,
        signal: null,
        stdout: "",
        stderr: `opsctl needs Node.js 22.15 or newer, this is ${version}. Install Node.js 24 (LTS).\n`,
      });
    },
  );

  test.each([pretend("22.15.0"), pretend("24.0.0")])("%s is new enough", async (_, node, flags) => {
    const child = spawn(node, [...flags, BIN, "--version"], { cwd: box.cwd, env: box.env() });
    expect(await collect(child)).toMatchObject({ code: 0, stderr: "" });
  });
});

function versionOf(node: string): string {
  return execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim();
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 22 || (major === 22 && minor < 15);
}
