/** What a start loads, the exit codes in every help, and the answer of a Node that is too old. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateIdentity, identityToRecipient } from "age-encryption";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODE_MEANINGS, EXIT_CODES } from "../../src/errors.ts";
import { BIN, collect, ROOT, Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const DIST = join(ROOT, "dist");
const DRIVERS = ["better-sqlite3", "ioredis", "neo4j-driver", "pg"];

/** What a command loaded: heavy packages (a file each, scripts/build.ts), other files, modules of Node. */
async function loadedBy(args: string[], env: Record<string, string> = {}) {
  const log = join(box.dir, "loaded.txt");
  writeFileSync(log, "");
  const options = { node: ["--import", join(box.cwd, "watch.mjs")], env: { ...env, LOADED: log } };
  const { code } = await box.run(args, options);
  const urls = [...new Set(readFileSync(log, "utf8").trim().split("\n"))];
  const paths = urls.filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url));
  const isVendor = (path: string) => path.startsWith(join(DIST, "vendor"));
  return {
    code,
    packages: paths
      .filter(isVendor)
      .map((path) => basename(path, ".cjs"))
      .sort(),
    files: paths.filter((path) => !isVendor(path)),
    builtins: urls.filter((url) => url.startsWith("node:")),
  };
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
    // says "Bolt 5.4" and hangs up: the driver is loaded only when something speaks Bolt
    const bolt = createServer((socket) => {
      socket.on("error", () => {});
      socket.resume().end(Buffer.from("00000405", "hex"));
    });
    await new Promise<void>((resolve) => bolt.listen(0, "127.0.0.1", resolve));
    const env = {
      NEO4J_URI: `bolt://127.0.0.1:${(bolt.address() as AddressInfo).port}`,
      DATABASE_URL: "postgresql://u@127.0.0.1:1/x",
      REDIS_URL: "redis://127.0.0.1:1",
      REDIS_PASSWORD_COMMAND: "echo hunter22",
      OPSCTL_CONFIG: box.file("settings.toml", "[default]\nREDIS_DB = 1\n"),
      OPSCTL_STATE: join(box.dir, "watched-state.db"),
    };
    const remember = await loadedBy(["remember", "issue:x", "y"], env);
    const health = await loadedBy(["health"], env);
    await new Promise((resolve) => bolt.close(resolve));
    const recipient = await identityToRecipient(await generateIdentity());
    const file = join(box.cwd, "app.db");
    new Database(file).exec("CREATE TABLE t (x)").close();
    const backup = await loadedBy(["backup", "sqlite", "--sqlite", file, "--encrypt-to", recipient]);
    const seen = new Set([...remember.packages, ...health.packages, ...backup.packages]);
    const vendored = readdirSync(join(DIST, "vendor")).filter((name) => name.endsWith(".cjs"));
    expect([...seen, "cli-table3"].sort()).toEqual(vendored.map((name) => basename(name, ".cjs")).sort());
    expect([...seen]).toEqual(expect.arrayContaining(DRIVERS));
  });

  test.each([
    [["--version"]],
    [["--help"]],
    [["help"]],
    [["help", "exit-codes"]],
    [["help", "environment"]],
    [["help", "json"]],
    [["fixes", "--help"]],
    [["recall", "--help"]],
    [["init", "--help"]],
    [["completion", "bash"]],
    [["fixes", "--limit", "x"]],
    [["frob"]],
  ])("%s loads one file and no package", async (args) => {
    const { packages, files, builtins } = await loadedBy(args);
    expect(packages).toEqual([]);
    expect(files).toEqual([BIN, join(DIST, "main.cjs")]);
    expect(builtins).not.toContain("node:net");
    expect(builtins).not.toContain("node:child_process");
  });

  test.each([
    [["fixes", "--json"]],
    [["recall", "x", "--json"]],
    [["remember", "issue:x", "y"]],
    [["agents"]],
    [["stats", "--json"]],
  ])("%s on the embedded file loads one driver and nothing else", async (args) => {
    expect(await loadedBy(args)).toMatchObject({ code: 0, packages: ["better-sqlite3"] });
  });

  test("env opens nothing, so it loads no driver", async () => {
    const { code, packages } = await loadedBy(["env"], { DATABASE_URL: "postgresql://u@127.0.0.1:1/x" });
    expect({ code, packages }).toEqual({ code: 0, packages: [] });
  });
});

describe("help", () => {
  test("every command and subcommand lists the exit codes", async () => {
    const codes = `Exit codes: ${Object.values(EXIT_CODES).join(", ")};`;
    const top = await box.ok(["--help"]);
    const listed = [...top.matchAll(/^ {2}([a-z][a-z-]*) {2,}\S/gm)].map(([, name]) => name!);
    expect(listed).toEqual(expect.arrayContaining(["init", "fixes", "recall", "health", "queue", "env"]));
    expect(top).toContain(codes);
    const nested: string[] = [];
    for (const name of listed) {
      const text = await box.ok([name, "--help"]);
      expect(text).toContain(codes);
      const [, subs = ""] = /^Commands:\n((?: .*\n)+)/m.exec(text) ?? [];
      for (const [, sub] of subs.matchAll(/^ {2}([a-z][a-z-]*) {2,}\S/gm)) nested.push(`${name} ${sub}`);
    }
    expect(nested).toEqual(expect.arrayContaining(["fixes import", "queue sync", "agents heartbeat"]));
    for (const path of nested) expect(await box.ok([...path.split(" "), "--help"])).toContain(codes);
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
