/** What leaves the process: pipes that close, JSON for jq, escapes, colour, signals. */
import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BIN, collect, Sandbox, until } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const DOWN = { NEO4J_URI: "bolt://127.0.0.1:1" };
const EVENTS = 20_000;
const line = (index: number) =>
  JSON.stringify({
    issue: `generated-${index}`,
    solution: `Applied fix ${index}, resolved`,
    ts: 1_772_359_200_000 + index,
    event_id: `event-${index}`,
  });
const lines = (count: number) => `${Array.from({ length: count }, (_, index) => line(index)).join("\n")}\n`;

function storedEvents(path: string): number {
  if (!existsSync(path)) return 0;
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare("SELECT count(*) FROM memori_events").pluck().get() as number;
  } catch {
    return 0; // the schema is not there yet
  } finally {
    database.close();
  }
}

describe("a reader that goes away", () => {
  beforeAll(async () => {
    await box.ok(["fixes", "import", "-"], { input: lines(EVENTS) });
  });

  test.each([
    "fixes --limit 5000",
    "fixes --limit 10000 --json",
    "fixes --events --limit 10000",
    "fixes export",
    "fixes similar generated --limit 10000",
  ])("%s | head -1", async (command) => {
    const { code, stdout, stderr } = await box.shell(
      `opsctl ${command} | head -c 1000 | head -1 > first; printf '%s' "\${PIPESTATUS[0]}"; test -s first`,
    );
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "0", stderr: "" });
  });

  test("a full device is an error", async () => {
    const { stdout, stderr } = await box.shell('opsctl fixes export > /dev/full; printf "%s" "$?"');
    expect(stdout).toBe("1");
    expect(stderr).toMatch(/^error: stdout cannot be written \(ENOSPC\)\n/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("a long answer arrives whole", async () => {
    const exported = await box.ok(["fixes", "export"]);
    expect(exported.split("\n")).toHaveLength(EVENTS + 1);
    const { fixes } = JSON.parse(await box.ok(["fixes", "--limit", "10000", "--json"])) as {
      fixes: unknown[];
    };
    expect(fixes).toHaveLength(10_000);
  });
});

describe("--json | jq", () => {
  /** Stands for the id of a record that is there. */
  const FIRST = "ID";
  const firstId = async () => String(JSON.parse(await box.ok(["fixes", "--json"])).fixes[0].id);
  const down = { ...DOWN, OPSCTL_STATE: `${box.dir}/jq-state.db` };
  test.each<[string[], Record<string, string>?]>([
    [["register-agent", "a", "--server", "h"]],
    [["agents"]],
    [["agents", "heartbeat", "a"]],
    [["remember", "issue:jq", "A fix", "--details", "x"]],
    [["recall", "generated"]],
    [["fixes"]],
    [["fixes", "--events"]],
    [["fixes", "show", FIRST]],
    [["fixes", "similar", "jq"]],
    [["fixes", "patterns", "--since", "365d"]],
    [["fixes", "success-rate"]],
    [["fixes", "forget", FIRST, "--yes"]],
    [["fixes", "import", "/dev/null"]],
    [["stats"]],
    [["init"]],
    [["init", "--list"]],
    [["init", "sqlite", "--dry-run"]],
    [["env"]],
    [["queue"]],
    [["remember", "issue:jq", "A queued fix"], down],
    [["stats"], down],
    [["queue"], down],
    [["queue", "drop", "1", "--yes"], down],
    [["queue", "sync"], down],
  ])("one object: %s", async (args, env = {}) => {
    const words: string[] = [];
    for (const word of args) words.push(word === FIRST ? await firstId() : word);
    const { code, stdout, stderr } = await box.run([...words, "--json"], { env });
    expect(code, stderr).toBe(0);
    const answer: unknown = JSON.parse(stdout);
    expect(Object.prototype.toString.call(answer)).toBe("[object Object]");
  });

  test("health, whatever it finds; one object; streaming commands line by line; errors on stderr", async () => {
    const shown = await box.shell(
      'opsctl fixes show "$(opsctl fixes --json | jq -r .fixes[0].id)" --json | jq type',
    );
    expect(shown).toMatchObject({ code: 0, stdout: '"object"\n' });
    expect(await box.shell("opsctl health --json | jq -r .timestamp; true")).toMatchObject({ code: 0 });
    const batch = await box.shell(
      'echo \'{"query": "generated"}\' | opsctl recall --batch - --json | jq .id',
    );
    expect(batch).toMatchObject({ code: 0, stdout: "1\n" });
    const { stdout } = await box.shell("opsctl fixes export --json | jq -s length");
    expect(Number(stdout)).toBeGreaterThanOrEqual(EVENTS);
    const error = await box.shell("opsctl fixes --limit x --json 2>&1 >/dev/null | jq .exit_code; true");
    expect(error).toMatchObject({ code: 0, stdout: "2\n" });
  });
});

describe("what a terminal would act on", () => {
  const own = { OPSCTL_DB: `${box.dir}/hostile.db` };
  const hostile =
    "a\u001b[31mred\u001b]0;title\u0007\rover\u202egnp\u2066\u200b\u009b2J\u007f\u0000tab\there";
  const text = hostile.replace("\u0000", "");
  const UNSAFE =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

  beforeAll(async () => {
    const event = {
      issue: text,
      solution: text,
      details: `${text}\nsecond`,
      agent: text,
      server: text,
      tags: [text],
    };
    const input = `${JSON.stringify({ ...event, metadata: { [text]: text } })}\n`;
    await box.ok(["fixes", "import", "-"], { env: own, input });
    await box.ok(["register-agent", text, "--server", text, "--status", text], { env: own });
  });

  const COMMANDS: [string, ...string[]][] = [
    ["fixes"],
    ["fixes", "--events"],
    ["fixes", "similar", "red"],
    ["fixes", "patterns"],
    ["recall", "red title"],
    ["agents"],
    ["agents", "heartbeat", text],
    ["register-agent", text, "--server", text],
    ["remember", `issue:${text}`, text],
    ["fixes", "show", text],
    ["fixes", "--since", text],
    [text],
  ];

  test.each(COMMANDS)("is escaped: %s %s", async (...args) => {
    const { stdout, stderr } = await box.run(args, { env: own });
    expect(stdout + stderr).not.toMatch(UNSAFE);
    expect(stdout + stderr).not.toBe("");
  });

  test("is escaped in a record of several lines, in a dry run and in the queue", async () => {
    const { fixes } = JSON.parse(await box.ok(["fixes", "--json"], { env: own })) as {
      fixes: { id: string; details: string | null }[];
    };
    const id = fixes.find(({ details }) => details !== null)!.id;
    const shown = await box.ok(["fixes", "show", id], { env: own });
    const planned = await box.ok(["fixes", "forget", id, "--dry-run"], { env: own });
    const env = { ...DOWN, OPSCTL_STATE: `${box.dir}/hostile-state.db` };
    await box.ok(["remember", text, text], { env });
    const queued = await box.run(["queue"], { env });
    for (const output of [shown, planned, queued.stdout, queued.stderr]) expect(output).not.toMatch(UNSAFE);
    expect(shown).toContain(
      "a\\x1b[31mred\\x1b]0;title\\x07\\rover\\u202egnp\\u2066\\u200b\\x9b2J\\x7ftab\there\nsecond",
    );
    const [row] = queued.stdout.split("\n");
    expect(row!.split("\t")).toHaveLength(8);
  });

  test("a row stays a row, and JSON is exact", async () => {
    const rows = (await box.ok(["fixes"], { env: own })).split("\n");
    expect(rows.filter((row) => row !== "").every((row) => row.split("\t").length === 7)).toBe(true);
    expect(rows[0]).toContain("tab\\there");
    const { fixes } = JSON.parse(await box.ok(["fixes", "--events", "--json"], { env: own })) as {
      fixes: unknown[];
    };
    expect(fixes).toContainEqual(
      expect.objectContaining({
        issue: text,
        solution: text,
        details: `${text}\nsecond`,
        agent: text,
        server: text,
        tags: [text],
        metadata: { [text]: text },
      }),
    );
    const exported = (await box.ok(["fixes", "export"], { env: own })).split("\n")[0]!;
    expect(JSON.parse(exported)).toMatchObject({ content: text, agent: text });
    const recalled = JSON.parse(await box.ok(["recall", "title", "--json"], { env: own })) as {
      results: unknown[];
    };
    expect(recalled.results).toContainEqual(
      expect.objectContaining({
        content: text,
        details: expect.stringContaining("\u001b[31m"),
      }),
    );
  });
});

describe("colour", () => {
  const COLOR = /\u001b\[\d+m/;
  const env = { ...DOWN, OPSCTL_STATE: `${box.dir}/color-state.db` };

  test("none in pipes; FORCE_COLOR is for notes on stderr, NO_COLOR and --no-color win", async () => {
    const run = (extra: Record<string, string>, ...args: string[]) =>
      box.run(["agents", ...args], { env: { ...env, ...extra } });
    const plain = await run({});
    expect(plain.stderr).toMatch(/^warning: neo4j is missing here: /);
    expect(plain.stdout + plain.stderr).not.toMatch(COLOR);
    const forced = await run({ FORCE_COLOR: "1" });
    expect(forced.stderr).toMatch(COLOR);
    expect(forced.stdout).not.toMatch(COLOR);
    for (const { stdout, stderr } of [
      await run({ NO_COLOR: "1" }),
      await run({ FORCE_COLOR: "1" }, "--no-color"),
    ]) {
      expect(stdout + stderr).not.toMatch(COLOR);
    }
    expect((await box.run(["agents", "--quiet"], { env })).stderr).toBe("");
  });

  test("on a terminal: a header, ages, colour unless it is switched off", async () => {
    const onTerminal = (command: string, extra: Record<string, string> = {}) =>
      box.shell(`script -qec 'stty cols 200; "${process.execPath}" "${BIN}" ${command}' /dev/null`, {
        TERM: "xterm-256color",
        ...extra,
      });
    const colored = await onTerminal("fixes --limit 2");
    expect(colored.code).toBe(0);
    expect(colored.stdout).toMatch(COLOR);
    expect(colored.stdout).toMatch(/key.*solution.*outcome.*when.*agent.*seen.*id/);
    expect(colored.stdout).toMatch(/\d+d ago/);
    for (const plain of [
      await onTerminal("fixes --limit 2", { NO_COLOR: "1" }),
      await onTerminal("fixes --limit 2 --no-color"),
    ]) {
      expect(plain.stdout).toMatch(/key.*solution/);
      expect(plain.stdout).not.toMatch(COLOR);
    }
  });
});

describe("signals", () => {
  const BATCH = 4000;

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "%s during an import from a slow stdin: what was stored is there, a re-run completes it",
    async (signal, code) => {
      const db = `${box.dir}/${signal}.db`;
      const env = { OPSCTL_DB: db };
      const child = box.start(["fixes", "import", "-"], { env });
      const ended = collect(child);
      child.stdin!.on("error", () => {});
      child.stdin!.write(lines(BATCH + 500));
      await until("a batch is stored", () => storedEvents(db) >= BATCH);
      child.kill(signal);
      const { code: exit, stdout, stderr } = await ended;
      expect({ exit, stdout }).toEqual({ exit: code, stdout: "" });
      expect(stderr).toContain(signal);
      expect(stderr).not.toMatch(/\n\s+at /);
      expect(storedEvents(db)).toBe(BATCH);
      const again = JSON.parse(
        await box.ok(["fixes", "import", "-", "--json"], { env, input: lines(BATCH + 500) }),
      );
      expect(again).toMatchObject({ imported: 500, duplicates: BATCH, rejected: 0 });
      expect(storedEvents(db)).toBe(BATCH + 500);
    },
  );

  test("--timeout ends a command that waits, with a hint", async () => {
    const child = box.start(["recall", "-", "--timeout", "300ms"]);
    const { code, stderr } = await collect(child);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*time limit.*\nTry: .*--timeout/);
  });
});
