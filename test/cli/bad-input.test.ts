/** Bad input: a message that names the field and the limit, a last line `Try: …`, the exit code, and a store that is as it was. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { conforming, Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
const MIB = 1024 * 1024;

beforeAll(async () => {
  await box.ok(["register-agent", "obs-agent-1", "--server", "prod-1"]);
  await box.ok(["remember", "issue:known", "Known fix", "--event-id", "taken"]);
  mkdirSync(join(box.cwd, "folder"));
  box.file("secret", "from-a-file");
  box.file("bad.toml", "[default\n");
  box.file("unknown.toml", '[default]\nDATABASE_ULR = "postgresql://db.example/x"\n');
  box.file("top-level.toml", 'NEO4J_URI = "bolt://db.example"\n');
  box.file("profiles.toml", "[default]\nREDIS_DB = 1\n[staging]\nREDIS_DB = 2\n");
  box.file("questions.ndjson", '{"query": 7}\n');
});
afterAll(() => box.remove());

/** Rows of every table: what a refused command must not change. */
function contents(): unknown {
  const database = new Database(box.db, { readonly: true });
  try {
    const tables = ["memori_metadata", "memori_events", "memori_agents", "memori_terms", "memori_statistics"];
    return tables.map((table) => database.prepare(`SELECT * FROM ${table}`).all());
  } finally {
    database.close();
  }
}

interface Refusal {
  args: string[];
  /** Words of the message, in any order. */
  says: (string | RegExp)[];
  hint?: string | RegExp;
  env?: Record<string, string>;
  input?: string | Buffer;
  code?: number;
}

const remember = (...more: string[]) => ["remember", "issue:x", "y", ...more];
const REFUSALS: Record<string, Refusal> = {
  "an empty key": { args: ["remember", "", "y"], says: ["KEY", "empty"], hint: "512 bytes" },
  "a key of spaces": { args: ["remember", "  ", "y"], says: ["KEY", "empty"], hint: "512 bytes" },
  "an issue without a name": {
    args: ["remember", "issue:", "y"],
    says: ["KEY", "no issue"],
    hint: "issue:NAME",
  },
  "an empty content": { args: ["remember", "issue:x", ""], says: ["CONTENT", "empty"], hint: "1 MiB" },
  "a key of 513 bytes": {
    args: ["remember", `${"k".repeat(511)}é`, "y"],
    says: ["KEY", "512 bytes", "513 bytes"],
  },
  "details over 1 MiB": {
    args: remember("--details", "-"),
    input: "d".repeat(MIB + 1),
    says: ["--details", /1 MiB|1048576 bytes/],
    hint: "shorten",
  },
  "a NUL byte in details": {
    args: remember("--details", "-"),
    input: "a\0b",
    says: ["--details", "NUL"],
    hint: "remove",
  },
  "metadata that is no JSON": {
    args: remember("--metadata", "{a"),
    says: ["--metadata", "not valid JSON"],
    hint: "{",
  },
  "metadata that is no object": { args: remember("--metadata", "[1]"), says: ["--metadata", "JSON object"] },
  "metadata with a NUL": { args: remember("--metadata", '{"a":"\\u0000"}'), says: ["--metadata", "NUL"] },
  "metadata with half a character": {
    args: remember("--metadata", '{"a":"\\ud800"}'),
    says: ["--metadata", "surrogate"],
  },
  "metadata over 64 KiB": {
    args: remember("--metadata", JSON.stringify({ a: "a".repeat(65_536) })),
    says: ["64 KiB"],
  },
  "a time that does not parse": {
    args: remember("--at", "yesterday"),
    says: ["--at", "yesterday"],
    hint: "RFC 3339",
  },
  "a day that does not exist": {
    args: remember("--at", "2026-02-30"),
    says: ["--at", "2026-02-30"],
    hint: "RFC 3339",
  },
  "a month that does not exist": {
    args: remember("--at", "2026-13-01"),
    says: ["--at", "2026-13-01"],
    hint: "RFC 3339",
  },
  "a time before 1970": { args: remember("--at", "1969-12-31"), says: ["--at", "1969-12-31"] },
  "--success and --failed of remember": {
    args: remember("--success", "--failed"),
    says: ["--success", "--failed"],
  },
  "an event id with a space": { args: remember("--event-id", "a b"), says: ["--event-id", "128"] },
  "an event id of other content": {
    args: remember("--event-id", "taken"),
    says: ["--event-id", "taken"],
    hint: "new id",
  },
  "an empty tag": { args: remember("--tag", ""), says: ["--tag", "empty"], hint: "256 bytes" },
  "an agent's name of 257 bytes": {
    args: remember("--agent", "a".repeat(257)),
    says: ["--agent", "256 bytes"],
  },
  "a third argument": { args: remember("z"), says: ["too many arguments"], hint: "quote" },
  "no content": { args: ["remember", "issue:x"], says: ["missing", "content"] },

  "a negative limit": { args: ["fixes", "--limit", "-1"], says: ["--limit", '"-1"', "from 1 to 10000"] },
  "a negative limit after =": { args: ["fixes", "--limit=-1"], says: ["--limit", '"-1"'] },
  "a limit of 0": { args: ["recall", "x", "--limit", "0"], says: ["--limit", "from 1 to 1000"] },
  "a limit that is no number": {
    args: ["fixes", "similar", "x", "--limit", "1e3"],
    says: ["--limit", '"1e3"'],
  },
  "a negative offset": { args: ["fixes", "--offset", "-1"], says: ["--offset", "from 0"] },
  "an age without a unit": { args: ["fixes", "--since", "7"], says: ["--since", '"7"'], hint: "7d" },
  "a threshold that is no duration": {
    args: ["agents", "--stale", "soon"],
    says: ["--stale", "soon"],
    hint: "90s",
  },
  "a timeout of 0": { args: ["fixes", "--timeout", "0s"], says: ["--timeout", '"0s"'] },
  "--success and --failed of fixes": {
    args: ["fixes", "--success", "--failed"],
    says: ["--success", "--failed"],
  },

  "an unknown command": {
    args: ["recal", "x"],
    says: ["unknown command", "recal"],
    hint: "did you mean recall?",
  },
  "an unknown subcommand": {
    args: ["fixes", "simlar", "x"],
    says: ["simlar"],
    hint: "did you mean similar?",
  },
  "an unknown subcommand after a flag": {
    args: ["fixes", "--limit", "3", "simlar"],
    says: ["simlar"],
    hint: "did you mean similar?",
  },
  "an argument too many of a subcommand": {
    args: ["fixes", "similar", "a", "b"],
    says: ["too many arguments for 'similar'"],
    hint: "quote",
  },
  "an unknown flag": {
    args: ["fixes", "--limt", "3"],
    says: ["unknown option", "--limt"],
    hint: "did you mean --limit?",
  },
  "an unknown flag before the command": {
    args: ["--jsn", "fixes"],
    says: ["unknown option", "--jsn"],
    hint: "--json",
  },
  "a flag of the parent only": {
    args: ["fixes", "similar", "x", "--failed"],
    says: ["--failed", "fixes similar"],
  },
  "a flag without its value": { args: ["fixes", "--limit"], says: ["--limit", "missing"] },
  "an unknown engine": { args: ["init", "postgress"], says: ["postgress"], hint: "did you mean postgres?" },
  "an engine that is not configured": {
    args: ["init", "redis"],
    says: ["redis", "not configured"],
    hint: "REDIS_URL",
  },
  "an unknown help topic": {
    args: ["help", "exit-code"],
    says: ["exit-code"],
    hint: "did you mean exit-codes?",
  },
  "an unknown shell": { args: ["completion", "tcsh"], says: ["tcsh"], hint: "bash, zsh or fish" },

  "a word that looks like a flag": {
    args: ["recall", "-Xmx512m"],
    says: ["unknown option", "-Xmx512m"],
    hint: /after --, .* -- -Xmx/,
  },
  "no query": { args: ["recall"], says: ["QUERY", "missing"], hint: "recall -" },
  "an empty query": { args: ["recall", " "], says: ["QUERY", "empty"] },
  "a query and --batch": { args: ["recall", "x", "--batch", "questions.ndjson"], says: ["QUERY", "--batch"] },
  "a batch line without a query": {
    args: ["recall", "--batch", "questions.ndjson"],
    says: ["--batch", "line 1", "query"],
  },

  "a file that is not there": {
    args: ["fixes", "import", "nowhere"],
    says: ["FILE", "nowhere", "no such file"],
    hint: "stdin",
  },
  "a folder instead of a file": {
    args: ["fixes", "import", "folder"],
    says: ["FILE", "folder", "directory"],
    hint: "stdin",
  },
  "a path through a file": { args: ["fixes", "import", "secret/x"], says: ["FILE", "secret/x", "ENOTDIR"] },
  "a batch that is not there": {
    args: ["recall", "--batch", "nowhere"],
    says: ["--batch", "nowhere", "no such file"],
  },
  "rejects over the file that is imported": {
    args: ["fixes", "import", "questions.ndjson", "--rejects", "./questions.ndjson"],
    says: ["--rejects", "the file that is imported"],
    hint: "another file",
  },
  "details that are not valid UTF-8": {
    args: ["remember", "k", "c", "--details", "-"],
    input: Buffer.from([0x61, 0xff, 0x62]),
    says: ["--details", "UTF-8"],
  },
  "content and details both from stdin": {
    args: ["remember", "k", "-", "--details", "-"],
    says: ["CONTENT", "--details", "stdin"],
  },
  "a number that cannot be kept": {
    args: ["remember", "k", "c", "--metadata", '{"n": 12345678901234567890}'],
    says: ["12345678901234567890", "exactly"],
    hint: "text",
  },
  "an outcome in the metadata that is none": {
    args: ["remember", "k", "fixed", "--metadata", '{"success": "false"}'],
    says: ["success", "true, false or null"],
  },
  "one file for data and state": {
    args: ["fixes"],
    env: { OPSCTL_DB: "/nowhere/one.db", OPSCTL_STATE: "/nowhere/one.db" },
    says: ["OPSCTL_DB and OPSCTL_STATE", "/nowhere/one.db"],
  },
  "a special name of SQLite": {
    args: ["fixes"],
    env: { OPSCTL_DB: ":memory:" },
    says: ["OPSCTL_DB", ":memory:"],
  },
  "rejects that cannot be written": {
    args: ["fixes", "import", "-", "--rejects", "nowhere/rejects"],
    input: "no json\n",
    says: ["--rejects", "nowhere/rejects", "cannot be written"],
    hint: "folder",
  },
  "a directory as OPSCTL_DB": {
    args: ["fixes"],
    env: { OPSCTL_DB: box.cwd },
    says: [box.cwd, "directory"],
    hint: "OPSCTL_DB",
  },
  "a directory as OPSCTL_STATE": {
    args: ["queue"],
    env: { OPSCTL_STATE: box.cwd },
    says: [box.cwd, "directory"],
    hint: "OPSCTL_STATE",
  },

  "an empty name of an agent": { args: ["register-agent", "", "--server", "h"], says: ["NAME", "empty"] },
  "an agent without a server": { args: ["register-agent", "a"], says: ["--server"] },
  "an empty server": { args: ["register-agent", "a", "--server", " "], says: ["--server", "empty"] },
  "a heartbeat of nobody": {
    args: ["agents", "heartbeat", "nobody"],
    says: ["nobody"],
    hint: "register-agent nobody",
    code: 25,
  },
  "an unknown record": {
    args: ["fixes", "show", "nothing"],
    says: ["nothing"],
    hint: "fixes --json",
    code: 25,
  },
  "forgetting an unknown record": {
    args: ["fixes", "forget", "nothing", "--yes"],
    says: ["nothing"],
    code: 25,
  },
  "dropping what is not queued": {
    args: ["queue", "drop", "9", "--yes"],
    says: ["9"],
    hint: "opsctl queue",
    code: 25,
  },
  "a queue number that is none": { args: ["queue", "drop", "x"], says: ["SEQ", '"x"'] },

  "X and X_FILE": {
    args: ["env"],
    env: { NEO4J_PASSWORD: "aaaa", NEO4J_PASSWORD_FILE: "secret" },
    says: ["NEO4J_PASSWORD and NEO4J_PASSWORD_FILE"],
    hint: "one of them",
  },
  "X_FILE that is not there": {
    args: ["env"],
    env: { REDIS_URL_FILE: "/nowhere" },
    says: ["REDIS_URL_FILE", "/nowhere", "ENOENT"],
  },
  "X_COMMAND that fails": {
    args: ["env"],
    env: { POSTGRES_PASSWORD_COMMAND: "false" },
    says: ["POSTGRES_PASSWORD_COMMAND", "code 1"],
  },
  "X_COMMAND that is no program": {
    args: ["env"],
    env: { POSTGRES_PASSWORD_COMMAND: "no-such-program x" },
    says: ["POSTGRES_PASSWORD_COMMAND", "no-such-program"],
  },
  "X_COMMAND without output": {
    args: ["env"],
    env: { POSTGRES_PASSWORD_COMMAND: "true" },
    says: ["POSTGRES_PASSWORD_COMMAND", "empty"],
  },
  "a profile without a file": {
    args: ["env", "--profile", "staging"],
    says: ["--profile", "staging", "no opsctl.toml"],
    hint: "--config",
  },
  "an unknown profile": {
    args: ["env", "--config", "profiles.toml", "--profile", "stagin"],
    says: ["--profile", "stagin"],
    hint: "did you mean staging?",
  },
  "a configuration that is not there": {
    args: ["env", "--config", "nowhere.toml"],
    says: ["--config", "nowhere.toml"],
  },
  "a configuration that is no TOML": {
    args: ["env", "--config", "bad.toml"],
    says: ["bad.toml", "cannot be read"],
    hint: "--config",
  },
  "an unknown setting": {
    args: ["env"],
    env: { OPSCTL_CONFIG: "unknown.toml" },
    says: ["unknown.toml", "[default]", "DATABASE_ULR"],
    hint: "did you mean DATABASE_URL?",
  },
  "a setting outside of a profile": {
    args: ["env"],
    env: { OPSCTL_CONFIG: "top-level.toml" },
    says: ["NEO4J_URI", "outside a profile"],
    hint: "[default]",
  },
  "a URL that is none": {
    args: ["stats"],
    env: { NEO4J_URI: "db.example" },
    says: ["NEO4J_URI", "not a URL"],
    hint: "bolt://",
  },
  "a scheme nobody speaks": {
    args: ["stats"],
    env: { DATABASE_URL: "mysql://db.example/x" },
    says: ["DATABASE_URL", "mysql:"],
    hint: "postgresql://",
  },
  "a URL without a host": {
    args: ["stats"],
    env: { REDIS_URL: "redis:///0" },
    says: ["REDIS_URL", "no host"],
  },
  "a port that is none": {
    args: ["env"],
    env: { POSTGRES_PORT: "70000" },
    says: ["POSTGRES_PORT", '"70000"', "from 1 to 65535"],
    hint: "environment",
  },
  "a duration out of its limits": {
    args: ["env"],
    env: { OPSCTL_QUERY_TIMEOUT: "1ms" },
    says: ["OPSCTL_QUERY_TIMEOUT", '"1ms"', "50 ms"],
  },
  "a log level that is none": {
    args: ["env"],
    env: { OBS_AGENT_LOG_LEVEL: "LOUD" },
    says: ["OBS_AGENT_LOG_LEVEL", "LOUD"],
    hint: "DEBUG",
  },
  "a line break in a setting": {
    args: ["env"],
    env: { NEO4J_DATABASE: "a\nb" },
    says: ["NEO4J_DATABASE", "line break"],
  },
};

/** One of each kind is asked again for JSON, which one function makes of every error: the command line, a field, stdin, a file, a record, the configuration. */
const IN_JSON = [
  "a key of 513 bytes",
  "an event id of other content",
  "details that are not valid UTF-8",
  "a negative limit",
  "an unknown command",
  "an unknown subcommand after a flag",
  "an unknown flag before the command",
  "a word that looks like a flag",
  "a file that is not there",
  "an unknown record",
  "X and X_FILE",
  "a configuration that is no TOML",
  "a URL that is none",
];

test.each(Object.entries(REFUSALS))("%s", async (name, { args, says, hint, env, input, code = 2 }) => {
  const before = contents();
  const options = { ...(env && { env }), ...(input && { input }) };
  const plain = await box.run(args, options);
  expect(plain).toMatchObject({ code, stdout: "" });
  const [, message, tip] = /^error: ([\s\S]*)\nTry: ([\s\S]*)\n$/.exec(plain.stderr) ?? [];
  expect(message, plain.stderr).toBeDefined();
  for (const words of says) expect(message).toMatch(words instanceof RegExp ? words : literal(words));
  if (hint) expect(tip).toMatch(hint instanceof RegExp ? hint : literal(hint));
  expect(contents()).toEqual(before);
  if (!IN_JSON.includes(name)) return;
  const asJson = await box.run(["--json", ...args], options);
  expect(asJson).toMatchObject({ code, stdout: "" });
  const error = conforming("errors (stderr)", asJson.stderr);
  expect(error).toEqual({
    code: code === 25 ? "not_found" : "usage",
    message,
    hint: tip,
    engine: null,
    exit_code: code,
  });
  expect(contents()).toEqual(before);
});

const literal = (text: string) => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));

test("what looks like a flag or an expression but is text", async () => {
  for (const query of [
    "-1 returned by connect",
    "--limit 5 exceeded",
    "word:word",
    "a AND (b",
    '"quote',
    "*",
    "-",
  ]) {
    const { code, stdout } = await box.run(
      ["recall", query, "--json"],
      query === "-" ? { input: "piped" } : {},
    );
    expect({ query, code }).toEqual({ query, code: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ query: query === "-" ? "piped" : query });
  }
  expect(await box.run(["recall", "--", "-Xmx512m"])).toMatchObject({ code: 0 });
  const text = await box.ok(["remember", "issue:exit", "-1 is no exit code", "--details", "-v was missing"]);
  expect(text).toMatch(/^stored /);
  expect(JSON.parse(await box.ok(["recall", "issue:exit", "--json"])).results[0]).toMatchObject({
    content: "-1 is no exit code",
    details: "-v was missing",
  });
});

test("an import rejects bad lines by number and reason, and stores the good ones", async () => {
  const bad: [line: string | Buffer, reason: RegExp][] = [
    ['{"key": "k", "content": "\\u0000"}', /content holds a NUL byte/],
    ['{"key": "k", "content": "\\ud800"}', /content holds a lone surrogate/],
    ['{"key": "\\udc00", "content": "c"}', /key holds a lone surrogate/],
    ['{"key": "", "content": "c"}', /key is empty/],
    ['{"issue": "", "solution": "c"}', /issue is empty/],
    ['{"key": "k"}', /content \(or solution\) is missing/],
    ['{"content": "c"}', /key \(or issue\) is missing/],
    [JSON.stringify({ key: "k".repeat(513), content: "c" }), /key is larger than 512 bytes \(513 bytes\)/],
    [JSON.stringify({ key: "k", content: "c".repeat(MIB + 1) }), /content is larger than 1 MiB/],
    [
      JSON.stringify({ key: "k", content: "c", details: "é".repeat(MIB / 2 + 1) }),
      /details is larger than 1 MiB/,
    ],
    ['{"key": "k", "content": "c", "metadata": "m"}', /metadata must be a JSON object/],
    ['{"key": "k", "content": "c", "metadata": {"a": "\\ud800"}}', /metadata holds .* lone surrogate/],
    ['{"key": "k", "content": "c", "ts": "yesterday"}', /ts: "yesterday" is not a time/],
    ['{"key": "k", "content": "c", "ts": -1}', /ts must be/],
    ['{"key": "k", "content": "c", "success": "yes"}', /success must be true, false or null/],
    ['{"key": "k", "content": "c", "tags": "db"}', /tags must be a list/],
    ['{"key": "k", "content": "c", "solution": "d"}', /content and solution are both set and differ/],
    ['{"key": "k", "content": "c", "colour": "red"}', /unknown field "colour"/],
    ['{"key": "k", "content": "c", "event_id": "taken"}', /its id .* is taken by other content/],
    ["[]", /not a JSON object/],
    ["null", /not a JSON object/],
    ["{", /not valid JSON/],
  ];
  const good = '{"key": "k-good", "content": "c-good"}';
  const input = `${bad.map(([line]) => line).join("\n")}\n${good}`;
  const args = ["fixes", "import", "-", "--rejects", "bad-lines.ndjson", "--json"];
  const { code, stdout } = await box.run(args, { input });
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({ lines: bad.length + 1, imported: 1, rejected: bad.length });
  const rejects = readFileSync(join(box.cwd, "bad-lines.ndjson"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rejects).toHaveLength(bad.length);
  for (const [index, [line, reason]] of bad.entries()) {
    const reject = rejects.find((one) => one.line === index + 1);
    expect(reject?.reason).toMatch(reason);
    expect(reject?.text).toBe(line);
  }
});

test("_COMMAND in an opsctl.toml of the working directory is refused and not run; named by --config it runs", async () => {
  const marker = join(box.dir, "ran");
  const here = join(box.cwd, "opsctl.toml");
  writeFileSync(here, `[default]\nNEO4J_PASSWORD_COMMAND = "touch ${marker}"\n`);
  const { code, stderr } = await box.run(["fixes"]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("NEO4J_PASSWORD_COMMAND") });
  expect(stderr).toMatch(/\nTry: .*--config/);
  expect(existsSync(marker)).toBe(false);
  writeFileSync(here, '[default]\nNEO4J_PASSWORD_COMMAND = "echo hunter22"\n');
  expect(await box.ok(["env", "--config", "opsctl.toml"])).toContain(
    "NEO4J_PASSWORD\t***\topsctl.toml [default]",
  );
  writeFileSync(here, "");
});

test("a file that is no database, or damaged: 23, and it stays as it is", async () => {
  const noDatabase = box.file("letter.db", "Dear reader, this is no database at all.".repeat(200));
  const damaged = box.file("damaged.db", readFileSync(box.db));
  await box.ok(["fixes"], { env: { OPSCTL_DB: damaged } });
  const bytes = readFileSync(damaged);
  bytes.fill(0xa5, 4096);
  writeFileSync(damaged, bytes);
  const store = ["remember", "issue:x", "y"];
  for (const file of [noDatabase, damaged]) {
    const before = readFileSync(file);
    for (const args of [["fixes"], ["recall", "known"], ["stats"], ["fixes", "export"], store, ["init"]]) {
      const { code, stdout, stderr } = await box.run([...args, "--json"], { env: { OPSCTL_DB: file } });
      expect({ file, args, code, stderr }).toMatchObject({ file, args, code: 23 });
      // init answers with a row for each engine, and the error in it
      if (args[0] === "init")
        expect(JSON.parse(stdout).engines[0].error).toMatchObject({ code: "integrity" });
      else
        expect(conforming("errors (stderr)", stderr)).toMatchObject({ code: "integrity", engine: "sqlite" });
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  }
});

test("a database of a newer opsctl: 1, reads included", async () => {
  const newer = box.file("newer.db", "");
  await box.ok(remember(), { env: { OPSCTL_DB: newer } });
  const database = new Database(newer);
  database.exec(
    `INSERT INTO opsctl_migrations SELECT set_name, 'V999', 999, 'V999-future-up.sql', 'future', checksum, state,
       statement_index, applied_by, applied_at, duration_ms, '99.0.0' FROM opsctl_migrations LIMIT 1`,
  );
  database.close();
  for (const args of [
    ["fixes"],
    ["recall", "x"],
    ["agents"],
    ["stats"],
    ["fixes", "export"],
    remember(),
    ["init"],
  ]) {
    const { code, stdout, stderr } = await box.run(args, { env: { OPSCTL_DB: newer } });
    expect({ args, code }).toEqual({ args, code: 1 });
    expect(stdout + stderr).toMatch(/newer opsctl \(99\.0\.0[\s\S]*Try: upgrade/);
  }
});
