import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig, shownValue } from "../../../src/config/load.ts";
import type { SettingName } from "../../../src/config/settings.ts";
import type { ConfigFlags } from "../../../src/config/sources.ts";
import { dataFile, limitsOf, stateFile, targetsOf } from "../../../src/config/targets.ts";

let home: string;
let cwd: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "opsctl-config-"));
  cwd = join(home, "work");
  mkdirSync(cwd);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const load = (env: Record<string, string> = {}, flags: ConfigFlags = {}) =>
  loadConfig(flags, { HOME: home, ...env }, cwd);

function write(path: string, text: string): string {
  const file = join(cwd, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function value(name: SettingName, env?: Record<string, string>, flags?: ConfigFlags) {
  const { resolved } = await load(env, flags);
  const { value, source } = resolved.find(({ setting }) => setting.name === name)!;
  return [value, source];
}

describe("precedence", () => {
  test("flag's profile > environment > .env > [default] > default; empty is unset", async () => {
    const env = { POSTGRES_DB: "of-environment" };
    expect(await value("POSTGRES_DB")).toEqual(["pconfig", "default"]);
    write("opsctl.toml", '[default]\nPOSTGRES_DB = "of-default"\n[staging]\nPOSTGRES_DB = "of-staging"\n');
    expect(await value("POSTGRES_DB")).toEqual(["of-default", "opsctl.toml [default]"]);
    write(".env", 'POSTGRES_DB="of-dotenv"\n');
    expect(await value("POSTGRES_DB")).toEqual(["of-dotenv", ".env"]);
    expect(await value("POSTGRES_DB", env)).toEqual(["of-environment", "environment"]);
    expect(await value("POSTGRES_DB", env, { profile: "staging" })).toEqual([
      "of-staging",
      "profile staging",
    ]);
    expect(await value("POSTGRES_DB", { POSTGRES_DB: "" })).toEqual(["of-dotenv", ".env"]);
    write(".env", "POSTGRES_DB=\n");
    expect(await value("POSTGRES_DB")).toEqual(["of-default", "opsctl.toml [default]"]);
  });

  test("a profile that says nothing of a setting leaves it to the others", async () => {
    write("opsctl.toml", "[default]\nREDIS_DB = 1\n[staging]\nPOSTGRES_PORT = 5433\n");
    expect(await value("REDIS_DB", {}, { profile: "staging" })).toEqual(["1", "opsctl.toml [default]"]);
    expect(await value("POSTGRES_PORT", {}, { profile: "staging" })).toEqual(["5433", "profile staging"]);
  });

  test("a higher source's X_FILE beats a lower source's X", async () => {
    const file = write("secret", "of-file\n");
    write(".env", "REDIS_PASSWORD=of-dotenv\n");
    expect(await value("REDIS_PASSWORD", { REDIS_PASSWORD_FILE: file })).toEqual([
      "of-file",
      "environment, REDIS_PASSWORD_FILE",
    ]);
  });

  test("the file: --config, OPSCTL_CONFIG, the working directory, XDG; .env stands beside it", async () => {
    const file = (name: string, db: number) => write(name, `[default]\nREDIS_DB = ${db}\n`);
    const redisDb = async (env?: Record<string, string>, flags?: ConfigFlags) =>
      (await load(env, flags)).text("REDIS_DB");
    file("../.config/opsctl/opsctl.toml", 1);
    expect(await redisDb()).toBe("1");
    file("../xdg/opsctl/opsctl.toml", 2);
    expect(await redisDb({ XDG_CONFIG_HOME: join(home, "xdg") })).toBe("2");
    expect(await redisDb({ XDG_CONFIG_HOME: "relative" })).toBe("1");
    file("opsctl.toml", 3);
    expect(await redisDb()).toBe("3");
    file("named/other.toml", 4);
    expect(await redisDb({ OPSCTL_CONFIG: "named/other.toml" })).toBe("4");
    file("flag.toml", 5);
    expect(await redisDb({ OPSCTL_CONFIG: "named/other.toml" }, { config: "flag.toml" })).toBe("5");
    write("named/.env", "REDIS_DB=6\n");
    expect(await redisDb({ OPSCTL_CONFIG: "named/other.toml" })).toBe("6");
  });
});

describe("secrets", () => {
  test("X_FILE: one line end is cut, no more", async () => {
    const file = write("secret", " pass word \r\n");
    expect(await value("NEO4J_PASSWORD", { NEO4J_PASSWORD_FILE: file })).toEqual([
      " pass word ",
      "environment, NEO4J_PASSWORD_FILE",
    ]);
  });

  test("X_COMMAND runs without a shell, from the environment or a file that was named", async () => {
    const env = { DATABASE_URL_COMMAND: "echo postgresql://u:$HOME;x@db.example/d" };
    expect(await value("DATABASE_URL", env)).toEqual([
      "postgresql://u:$HOME;x@db.example/d",
      "environment, DATABASE_URL_COMMAND",
    ]);
    write("named.toml", '[default]\nREDIS_PASSWORD_COMMAND = "echo hunter22"\n');
    expect(await value("REDIS_PASSWORD", {}, { config: "named.toml" })).toEqual([
      "hunter22",
      "opsctl.toml [default], REDIS_PASSWORD_COMMAND",
    ]);
  });

  test.each(["opsctl.toml", ".env"])("X_COMMAND in a %s that was found is refused", async (name) => {
    write("opsctl.toml", "[default]\n");
    write(
      name,
      name === ".env" ? "REDIS_PASSWORD_COMMAND=echo x\n" : '[default]\nREDIS_PASSWORD_COMMAND = "echo x"\n',
    );
    await expect(load()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("REDIS_PASSWORD_COMMAND"),
    });
  });

  describe.each([
    "OPSCTL_BACKUP_BEFORE",
    "OPSCTL_BACKUP_AFTER",
    "OPSCTL_NEO4J_STOP",
    "OPSCTL_NEO4J_START",
    "OPSCTL_NEO4J_ADMIN",
  ] as const)("%s is a command, too", (name) => {
    test.each(["opsctl.toml", ".env"])("and refused in a %s that was found", async (file) => {
      write("opsctl.toml", "[default]\n");
      write(file, file === ".env" ? `${name}=rm -rf x\n` : `[default]\n${name} = "rm -rf x"\n`);
      await expect(load()).rejects.toMatchObject({
        code: "usage",
        message: `${name}: a file found in the working directory may not run a command`,
        hint: expect.stringContaining("--config"),
      });
      expect(await value(name, { [name]: "mine" })).toEqual(["mine", "environment"]);
    });

    test("and taken from a file that was named, and from the user's own", async () => {
      write("named.toml", `[default]\n${name} = "of-named"\n`);
      expect((await load({}, { config: "named.toml" })).text(name)).toBe("of-named");
      write("../.config/opsctl/opsctl.toml", `[default]\n${name} = "of-xdg"\n`);
      expect((await load()).text(name)).toBe("of-xdg");
    });
  });

  test("X_COMMAND in the user's own XDG file runs", async () => {
    write("../.config/opsctl/opsctl.toml", '[default]\nREDIS_PASSWORD_COMMAND = "echo hunter22"\n');
    expect((await load()).text("REDIS_PASSWORD")).toBe("hunter22");
  });

  test("what is no secret has no _FILE and no _COMMAND", async () => {
    write("opsctl.toml", '[default]\nPOSTGRES_DB_FILE = "x"\n');
    await expect(load()).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("POSTGRES_DB_FILE"),
    });
    rmSync(join(cwd, "opsctl.toml"));
    expect(await value("POSTGRES_DB", { POSTGRES_DB_FILE: "/nowhere" })).toEqual(["pconfig", "default"]);
  });

  test("shown without them, and known as strings never to print", async () => {
    const config = await load({ NEO4J_URI: "bolt://u:p%40ss@db.example", REDIS_PASSWORD: "hunter22" });
    const shown = Object.fromEntries(config.resolved.map((entry) => [entry.setting.name, shownValue(entry)]));
    expect(shown).toMatchObject({
      NEO4J_URI: "bolt://u:***@db.example",
      REDIS_PASSWORD: "***",
      NEO4J_PASSWORD: null,
    });
    expect(config.secrets.sort()).toEqual(["hunter22", "p%40ss", "p@ss"]);
  });
});

describe("targets", () => {
  test("nothing configured: the embedded file, in the XDG directories", async () => {
    const config = await load();
    expect(targetsOf(config)).toEqual({
      backup: {},
      drill: {},
      neo4j: undefined,
      postgres: undefined,
      redis: undefined,
      sqlite: expect.objectContaining({ engine: "sqlite", url: join(home, ".local/share/opsctl/opsctl.db") }),
    });
    expect(stateFile(config)).toBe(join(home, ".local/state/opsctl/state.db"));
    const moved = await load({ XDG_DATA_HOME: "/data", XDG_STATE_HOME: "/state" });
    expect([dataFile(moved), stateFile(moved)]).toEqual(["/data/opsctl/opsctl.db", "/state/opsctl/state.db"]);
    const relative = await load({ OPSCTL_DB: "my.db", OPSCTL_STATE: "/var/my-state.db" });
    expect([dataFile(relative), stateFile(relative)]).toEqual([join(cwd, "my.db"), "/var/my-state.db"]);
    expect(limitsOf(config)).toEqual({ connectMs: 2000, queryMs: 30_000, poolSize: 4 });
  });

  test("an engine is configured by its URL or host only", async () => {
    const names = {
      POSTGRES_PASSWORD: "x1234",
      POSTGRES_PORT: "5433",
      REDIS_PORT: "6380",
      NEO4J_PASSWORD: "x1234",
    };
    const targets = targetsOf(await load(names));
    expect([targets.neo4j, targets.postgres, targets.redis]).toEqual([undefined, undefined, undefined]);
  });

  test("hosts and single settings make URLs; special characters are encoded", async () => {
    const { postgres, redis } = targetsOf(
      await load({
        POSTGRES_HOST: "::1",
        POSTGRES_USER: "me@corp",
        POSTGRES_PASSWORD: "p@ss:/?#",
        REDIS_HOST: "cache.example",
        REDIS_PASSWORD: "r@w",
        REDIS_DB: "3",
      }),
    );
    expect(postgres).toMatchObject({
      url: "postgresql://me%40corp:p%40ss%3A%2F%3F%23@[::1]:5432/pconfig",
      shown: "postgresql://me%40corp:***@[::1]:5432/pconfig",
      database: "pconfig",
    });
    expect(redis).toMatchObject({
      url: "redis://:r%40w@cache.example:6379/3",
      shown: "redis://:***@cache.example:6379/3",
    });
  });

  test("a URL wins over single settings, which fill what it leaves out", async () => {
    const { postgres, neo4j } = targetsOf(
      await load({
        DATABASE_URL: "postgres://db.example/app",
        POSTGRES_HOST: "ignored.example",
        POSTGRES_USER: "me",
        POSTGRES_PASSWORD: "secret",
        NEO4J_URI: "neo4j+s://graph.example",
        NEO4J_PASSWORD: "secret",
      }),
    );
    expect(postgres).toMatchObject({
      url: "postgres://me:secret@db.example/app",
      identity: "postgres:db.example:5432/app",
    });
    expect(neo4j).toMatchObject({
      url: expect.stringMatching(/^neo4j\+s:\/\/graph\.example\/?$/),
      username: "neo4j",
      password: "secret",
      identity: "neo4j:graph.example:7687/neo4j",
    });
  });

  test("the identity names the store, not the way to it", async () => {
    const identity = async (url: string) => targetsOf(await load({ DATABASE_URL: url })).postgres!.identity;
    const plain = await identity("postgresql://a:one@db.example/app");
    expect(await identity("postgresql://b:two@db.example:5432/app?sslmode=require")).toBe(plain);
    expect(await identity("postgresql://a:one@db.example/other")).not.toBe(plain);
    expect(await identity("postgresql://a:one@other.example/app")).not.toBe(plain);
  });
});
