/** Secrets in what is remembered: none reaches a disk, and what was masked is said. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";

const boxes: Sandbox[] = [];
afterAll(() => {
  for (const box of boxes) box.remove();
});

function sandbox(): Sandbox {
  const box = new Sandbox({ shared: true });
  boxes.push(box);
  return box;
}

const TOKEN = `ghp_${"Zz9Q".repeat(9)}`;
const URL = "postgres://app:Zz9Qpw@db/x";
const HEADER = "Authorization: Bearer Zz9Qbearer";
const METADATA = JSON.stringify({ [TOKEN]: [{ deep: URL }] });
const REMEMBER = [
  "remember",
  `issue:login-${URL}`,
  `curl -H '${HEADER}'`,
  "--details",
  `used ${TOKEN}`,
  "--agent",
  TOKEN,
  "--server",
  "https://Zz9Quser@host",
  "--tag",
  TOKEN,
  "--metadata",
  METADATA,
];
const LINE = JSON.stringify({ issue: `login-${URL}`, solution: HEADER, tags: [TOKEN], metadata: { a: URL } });

/** Every byte below a folder. */
function bytesBelow(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"))
    .join("\n");
}

test("remember: in no file of the embedded store; --json and stderr say what was masked", async () => {
  const box = sandbox();
  const { stdout, stderr, code } = await box.run([...REMEMBER, "--json"]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^masked: .*3 github|^masked: .*url/);
  expect(stderr + stdout).not.toContain("Zz9Q");
  const { masked, id } = JSON.parse(stdout);
  expect(masked).toEqual([
    { field: "key", kind: "url", count: 1 },
    { field: "content", kind: "authorization", count: 1 },
    { field: "details", kind: "github", count: 1 },
    { field: "agent", kind: "github", count: 1 },
    { field: "server", kind: "url", count: 1 },
    { field: "tags", kind: "github", count: 1 },
    { field: "metadata", kind: "github", count: 1 },
    { field: "metadata", kind: "url", count: 1 },
  ]);
  expect(bytesBelow(box.dir)).not.toContain("Zz9Q");
  const { fix } = await box.json("fixes show", ["fixes", "show", id]);
  expect(fix).toMatchObject({
    key: "issue:login-postgres://[masked:url]@db/x",
    solution: "curl -H 'Authorization: Bearer [masked:authorization]'",
    metadata: { "[masked:github]": [{ deep: "postgres://[masked:url]@db/x" }] },
  });
  // what comes out can be put in again: the same record
  const again = await box.json("remember", ["remember", fix.key, fix.solution, "--details", fix.details]);
  expect(again).toMatchObject({ id, masked: [] });
});

test("remember: not in the journal of a server that is away", async () => {
  const box = sandbox();
  const env = { DATABASE_URL: "postgresql://app@127.0.0.1:1/x", OPSCTL_CONNECT_TIMEOUT: "1s" };
  expect(await box.json("remember", REMEMBER, { env })).toMatchObject({ status: "queued" });
  expect(bytesBelow(box.dir)).not.toContain("Zz9Q");
});

test("--no-mask stores what was given", async () => {
  const box = sandbox();
  const { masked, id } = await box.json("remember", [...REMEMBER, "--no-mask"]);
  expect(masked).toEqual([]);
  expect((await box.json("fixes show", ["fixes", "show", id]))["fix"].details).toBe(`used ${TOKEN}`);
  const file = box.file("raw.ndjson", `${LINE}\n`);
  expect((await box.json("fixes import", ["fixes", "import", file, "--no-mask"]))["masked"]).toEqual([]);
});

test("import: masked by kind, in no file; twice is nothing new, also on another host", async () => {
  const [box, other] = [sandbox(), sandbox()];
  const first = await box.json("fixes import", ["fixes", "import", "-"], { input: LINE });
  expect(first).toMatchObject({ imported: 1, duplicates: 0 });
  expect(
    first["masked"].sort((a: { kind: string }, b: { kind: string }) => (a.kind < b.kind ? -1 : 1)),
  ).toEqual([
    { kind: "authorization", count: 1 },
    { kind: "github", count: 1 },
    { kind: "url", count: 2 },
  ]);
  expect(bytesBelow(box.dir)).not.toContain("Zz9Q");
  const second = await box.json("fixes import", ["fixes", "import", "-"], { input: LINE });
  expect(second).toMatchObject({ imported: 0, duplicates: 1, rejected: 0 });
  await other.json("fixes import", ["fixes", "import", "-"], { input: LINE });
  const exported = await box.ok(["fixes", "export"]);
  const there = await other.json("fixes import", ["fixes", "import", "-"], { input: exported });
  expect(there).toMatchObject({ imported: 0, duplicates: 1, rejected: 0, masked: [] });
});

test("rejected lines and their reasons are masked too, unless --no-mask", async () => {
  const box = sandbox();
  const hidden = TOKEN.replace("g", "\\u0067");
  const lines = [`{"issue": "a", "solution": "${URL}`, `{"${TOKEN}": 1}`, `{"issue": "${hidden}"}`].join(
    "\n",
  );
  const rejects = join(box.cwd, "rejects.ndjson");
  const args = ["fixes", "import", "-", "--rejects", rejects];
  const { code, stderr, stdout } = await box.run(args, { input: lines });
  expect(code).toBe(3);
  expect(stderr + stdout).not.toContain("Zz9Q");
  expect(readFileSync(rejects, "utf8")).not.toContain("Zz9Q");
  expect(readFileSync(rejects, "utf8").trim().split("\n")).toHaveLength(3);
  await box.run([...args, "--no-mask"], { input: lines });
  expect(
    readFileSync(rejects, "utf8")
      .split("\n")
      .map((line) => line && JSON.parse(line).text)
      .join("\n")
      .trim(),
  ).toBe(lines);
});

test("an agent goes by one name, masked or not", async () => {
  const box = sandbox();
  const register = ["register-agent", TOKEN, "--server", "https://Zz9Quser@host"];
  const { code, stderr, stdout } = await box.run([...register, "--json"]);
  expect({ code, leak: (stderr + stdout).includes("Zz9Q") }).toEqual({ code: 0, leak: false });
  expect(stderr).toMatch(/^masked: .*1 github, 1 url/);
  expect(JSON.parse(stdout)).toMatchObject({ name: "[masked:github]", server: "https://[masked:url]@host" });
  expect(await box.json("agents heartbeat", ["agents", "heartbeat", TOKEN])).toMatchObject({
    name: "[masked:github]",
    status: "updated",
  });
  expect(bytesBelow(box.dir)).not.toContain("Zz9Q");
  await box.json("register-agent", [...register, "--no-mask"]);
  const beat = await box.json("agents heartbeat", ["agents", "heartbeat", TOKEN, "--no-mask"]);
  expect(beat["name"]).toBe(TOKEN);
});

test("an id that holds a secret is refused, unless --no-mask", async () => {
  const box = sandbox();
  const args = ["remember", "issue:a", "b", "--event-id", `run-${TOKEN}`];
  const { code, stderr } = await box.run(args);
  expect(code).toBe(2);
  expect(stderr).toContain("--event-id holds a secret (run-[masked:github])");
  const lines = [{ id: TOKEN }, { event_id: TOKEN }]
    .map((ids) => JSON.stringify({ issue: "a", solution: "b", ...ids }))
    .join("\n");
  const report = await box.run(["fixes", "import", "-"], { input: lines });
  expect(report.code).toBe(3);
  expect(report.stderr).toMatch(/: id holds a secret[\s\S]*: event_id holds a secret/);
  expect(stderr + report.stderr + report.stdout).not.toContain("Zz9Q");
  expect(bytesBelow(box.dir)).not.toContain("Zz9Q");
  expect((await box.json("remember", [...args, "--no-mask"]))["event_id"]).toBe(`run-${TOKEN}`);
});
