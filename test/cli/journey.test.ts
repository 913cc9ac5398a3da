/** The main job on the embedded file: every command, as people read it through a pipe, and as programs do with --json. */
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { afterAll, describe, expect, test } from "vitest";
import { CONTRACTS } from "../../src/contract/index.ts";
import { conforming, Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const AT = "2026-03-01T10:00:00.000Z";
const AT_MS = Date.parse(AT);
const LATER = "2026-03-02T10:00:00.000Z";
/** By name; a user id without one, as in many containers, by number. */
const OWNER = new RegExp(`^(${ownName()}|uid ${process.getuid!()})$`);
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** Made from the text alone (ids.test.ts), so it is the same on every host. */
const CONNECTION = "57457d16-62af-8d12-9211-6b66e3b098bc";

function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return "nobody has a name here";
  }
}

const checked = new Set<string>();

/** The object of a command, conforming to its contract. A process of its own for the first of each: every command starts and ends here once. */
async function json(contract: string, args: string[], options?: Parameters<Sandbox["json"]>[2]) {
  const alone = !checked.has(contract);
  checked.add(contract);
  return box.json(contract, args, { alone, ...options });
}

/** Rows and columns of what a command prints into a pipe. */
async function rows(args: string[], options?: Parameters<Sandbox["ok"]>[1]): Promise<string[][]> {
  const text = await box.ok(args, options);
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t"));
}

describe("agents", () => {
  test("register-agent says registered, then updated", async () => {
    expect(await box.ok(["register-agent", "obs-agent-1", "--server", "prod-1"])).toBe(
      "registered obs-agent-1 on prod-1\n",
    );
    const again = await json("register-agent", ["register-agent", "obs-agent-1", "--server", "prod-2"]);
    expect(again).toEqual({
      status: "updated",
      name: "obs-agent-1",
      server: "prod-2",
      agent_status: "active",
      last_seen: expect.stringMatching(ISO),
      last_seen_ms: expect.any(Number),
      queued: [],
    });
    const idle = ["register-agent", "obs-agent-2", "--server", "prod-2", "--status", "idle"];
    expect(await json("register-agent", idle)).toMatchObject({ status: "registered", agent_status: "idle" });
  });

  test("agents lists them by name; --stale marks, --status filters", async () => {
    expect(await rows(["agents"])).toEqual([
      ["ok", "obs-agent-1", "prod-2", "active", expect.stringMatching(ISO)],
      ["ok", "obs-agent-2", "prod-2", "idle", expect.stringMatching(ISO)],
    ]);
    const { agents, ...rest } = await json("agents", ["agents", "--stale", "1ms", "--status", "idle"]);
    expect(rest).toEqual({ count: 1, next: null, degraded: [] });
    expect(agents).toEqual([
      {
        name: "obs-agent-2",
        status: "idle",
        server: "prod-2",
        last_seen: expect.stringMatching(ISO),
        last_seen_ms: expect.any(Number),
        age_seconds: expect.any(Number),
        stale: true,
      },
    ]);
  });

  test("a heartbeat moves last_seen and keeps the rest", async () => {
    const [before] = (await json("agents", ["agents", "--status", "idle"])).agents as {
      last_seen_ms: number;
    }[];
    const beat = await json("agents heartbeat", ["agents", "heartbeat", "obs-agent-2"]);
    expect(beat).toMatchObject({
      status: "updated",
      name: "obs-agent-2",
      server: "prod-2",
      agent_status: "idle",
    });
    expect(Number(beat.last_seen_ms)).toBeGreaterThan(before!.last_seen_ms);
    expect(await box.ok(["agents", "heartbeat", "obs-agent-2"])).toBe("updated obs-agent-2\n");
  });
});

describe("remember", () => {
  test("the same text is a new event of one record; the same event id is a duplicate", async () => {
    const fix = ["remember", "issue:connection-timeout", "Increased the pool timeout to 30s"];
    const details = ["--details", "ETIMEDOUT 10.0.0.7:5432 in acquireConnection()"];
    const said = ["--agent", "obs-agent-1", "--server", "prod-1", "--tag", "db", "--tag", "pool"];
    const first = await json("remember", [
      ...fix,
      ...details,
      ...said,
      "--success",
      "--at",
      AT,
      "--event-id",
      "e-1",
    ]);
    expect(first).toEqual({
      id: CONNECTION,
      event_id: "e-1",
      key: "issue:connection-timeout",
      status: "stored",
      success: true,
      queued: [],
      masked: [],
    });
    const second = [
      ...fix,
      ...details,
      "--failed",
      "--at",
      LATER,
      "--event-id",
      "e-2",
      "--metadata",
      '{"n": 1}',
    ];
    expect(await box.ok(second)).toBe(`stored ${CONNECTION} (failed)\n`);
    expect(await json("remember", second)).toMatchObject({ status: "duplicate", event_id: "e-2" });
  });

  test("success comes from the metadata, else from the wording, else is unknown", async () => {
    const metadata = ["--metadata", '{"success": false, "agent": "from-metadata"}'];
    const failed = ["remember", "issue:disk-full", "Resolved by log rotation", "--at", AT, ...metadata];
    expect(await json("remember", failed)).toMatchObject({ success: false });
    expect(await box.ok(["remember", "note:runbook", "Call the on-call engineer", "--at", AT])).toMatch(
      /\(unknown\)\n$/,
    );
    const worked = ["remember", "issue:reconnection-storm", "Added jitter, resolved", "--at", AT];
    expect(await box.ok(worked)).toMatch(/\(worked\)\n$/);
  });

  test("details come from stdin for -", async () => {
    const args = ["remember", "issue:oom", "Raised the limit", "--details", "-", "--at", AT];
    const { id } = await json("remember", args, { input: "Killed process 4711 (java)\nwith two lines" });
    const { fix } = await json("fixes show", ["fixes", "show", id!]);
    expect(fix).toMatchObject({ details: "Killed process 4711 (java)\nwith two lines" });
  });
});

describe("fixes", () => {
  test("lists records, newest event first, in exact columns", async () => {
    const all = await rows(["fixes"]);
    expect(all[0]).toEqual([
      "issue:connection-timeout",
      "Increased the pool timeout to 30s",
      "failed",
      LATER,
      "",
      "2",
      CONNECTION,
    ]);
    expect(all).toHaveLength(5);
    expect(await rows(["fixes", "--events", "--issue", "CONNECTION-t"])).toEqual([
      [
        "issue:connection-timeout",
        "Increased the pool timeout to 30s",
        "failed",
        LATER,
        "",
        "e-2",
        CONNECTION,
      ],
      [
        "issue:connection-timeout",
        "Increased the pool timeout to 30s",
        "worked",
        AT,
        "obs-agent-1",
        "e-1",
        CONNECTION,
      ],
    ]);
  });

  test("--json has every field of a record", async () => {
    expect(await json("fixes", ["fixes", "--limit", "1"])).toEqual({
      fixes: [
        {
          id: CONNECTION,
          key: "issue:connection-timeout",
          issue: "connection-timeout",
          solution: "Increased the pool timeout to 30s",
          details: "ETIMEDOUT 10.0.0.7:5432 in acquireConnection()",
          success: false,
          timestamp: LATER,
          timestamp_ms: Date.parse(LATER),
          agent: null,
          server: null,
          tags: [],
          metadata: { n: 1 },
          occurrences: 2,
          successes: 1,
          failures: 1,
          first_seen: AT,
          first_seen_ms: AT_MS,
        },
      ],
      count: 1,
      limit: 1,
      offset: 0,
      next: expect.any(String),
      degraded: [],
    });
  });

  test("filters and pages", async () => {
    const keys = async (...args: string[]) => {
      const { fixes } = await json("fixes", ["fixes", ...args]);
      return (fixes as { key: string }[]).map(({ key }) => key).sort();
    };
    expect(await keys("--success")).toEqual(["issue:reconnection-storm"]);
    expect(await keys("--failed")).toEqual(["issue:connection-timeout", "issue:disk-full"]);
    expect(await keys("--since", "2026-03-02")).toEqual(["issue:connection-timeout"]);
    expect(await keys("--issue", "Connection")).toEqual([
      "issue:connection-timeout",
      "issue:reconnection-storm",
    ]);
    expect(await keys("--offset", "5")).toEqual([]);
    expect(await keys("--offset", "1", "--limit", "3")).toHaveLength(3);
    const { fixes } = await json("fixes", ["fixes", "--issue", "runbook"]);
    expect(fixes).toMatchObject([{ key: "note:runbook", issue: null }]);
  });

  test("show: a record and its events", async () => {
    const { fix, events, degraded } = await json("fixes show", ["fixes", "show", CONNECTION, "--limit", "1"]);
    expect(fix).toMatchObject({ id: CONNECTION, occurrences: 2 });
    expect(events).toMatchObject([{ event_id: "e-2", id: CONNECTION, success: false, metadata: { n: 1 } }]);
    expect(degraded).toEqual([]);
    const text = await box.ok(["fixes", "show", CONNECTION]);
    expect(text).toContain("failed last, 1 worked and 1 failed of 2\n");
    expect(text).toMatch(/2026-03-01T10:00:00\.000Z \(\d+d ago\) {2}worked {2}obs-agent-1 on prod-1\n$/);
  });

  test("similar: CONTAINS, case ignored, grouped", async () => {
    expect(await rows(["fixes", "similar", "CONNECTION"])).toEqual([
      ["issue:connection-timeout", "2", "0.5", LATER, "Increased the pool timeout to 30s"],
      ["issue:reconnection-storm", "1", "1", AT, "Added jitter, resolved"],
    ]);
    expect(await json("fixes similar", ["fixes", "similar", "connection", "--limit", "1"])).toEqual({
      issues: [
        {
          issue: "connection-timeout",
          key: "issue:connection-timeout",
          solution: "Increased the pool timeout to 30s",
          occurrence_count: 2,
          successes: 1,
          failures: 1,
          success_rate: 0.5,
          // Wilson's interval of 1 in 2
          success_low: expect.closeTo(0.0945, 3),
          success_high: expect.closeTo(0.9055, 3),
          last_seen: LATER,
          last_seen_ms: Date.parse(LATER),
        },
      ],
      count: 1,
      next: expect.any(String),
      degraded: [],
    });
  });

  test("patterns counts what was seen since; the flag may stand on either side", async () => {
    const since = "2026-03-02T00:00:00Z";
    const patterns = await json("fixes patterns", ["fixes", "patterns", "--since", since]);
    expect(patterns).toMatchObject({
      since: "2026-03-02T00:00:00.000Z",
      since_ms: Date.parse(since),
      next: null,
    });
    const [first, ...others] = patterns.patterns as { key: string; status: string; trend: number[] }[];
    expect(first).toMatchObject({
      key: "issue:connection-timeout",
      occurrence_count: 1,
      previous_count: 1,
      change: 0,
      status: "steady",
    });
    const { trend } = first!;
    expect(trend).toHaveLength(14);
    expect(trend.reduce((sum, count) => sum + count, 0)).toBe(1);
    // remembered in the window before, and not since
    expect(others.map(({ key, status }) => [key, status]).sort()).toEqual([
      ["issue:disk-full", "gone"],
      ["issue:oom", "gone"],
      ["issue:reconnection-storm", "gone"],
      ["note:runbook", "gone"],
    ]);
    const printed = await rows(["fixes", "--since", since, "patterns"]);
    expect(printed[0]).toEqual([
      "issue:connection-timeout",
      "1",
      "0",
      LATER,
      "Increased the pool timeout to 30s",
      trend.join(" "),
      "1",
      "0",
    ]);
    expect(printed).toHaveLength(5);
  });

  test("timeline: one issue's events, newest first, below their sums", async () => {
    const args = ["fixes", "timeline", "connection-timeout"];
    const { summary, events, ...rest } = await json("fixes timeline", [...args, "--limit", "1"]);
    expect(rest).toEqual({
      key: "issue:connection-timeout",
      count: 1,
      next: expect.any(String),
      degraded: [],
    });
    expect(summary).toMatchObject({
      occurrence_count: 2,
      successes: 1,
      failures: 1,
      fixes: 1,
      first_seen: AT,
    });
    expect(events).toMatchObject([{ event_id: "e-2", id: CONNECTION, success: false }]);
    const older = await json("fixes timeline", [...args, "--after", rest["next"]]);
    expect(older).toMatchObject({ events: [{ event_id: "e-1" }], count: 1, next: null });
  });

  test("success-rate counts events whose outcome is known, and says how sure that is", async () => {
    const [row] = await rows(["fixes", "success-rate", "connection"]);
    expect(row!.slice(0, 4)).toEqual([String(2 / 3), "2", "1", "0"]);
    // Wilson's interval of 2 in 3
    expect(row!.slice(4).map((bound) => Number(bound).toFixed(3))).toEqual(["0.208", "0.939"]);
    expect(await json("fixes success-rate", ["fixes", "success-rate"])).toEqual({
      type: null,
      total: 6,
      successes: 2,
      failures: 2,
      unknown: 2,
      success_rate: 0.5,
      // 2 of 4
      success_low: expect.closeTo(0.15, 3),
      success_high: expect.closeTo(0.85, 3),
      degraded: [],
    });
  });
});

describe("recall", () => {
  test("finds the fix for a pasted error message", async () => {
    const pasted = "Error: acquireConnection failed\n  ETIMEDOUT while connecting to 10.0.0.7:5432";
    const answer = await json("recall", ["recall", "-"], { input: pasted });
    expect(answer).toMatchObject({ query: pasted, degraded: [] });
    const [best] = answer.results as Record<string, unknown>[];
    expect(best).toEqual({
      id: CONNECTION,
      key: "issue:connection-timeout",
      issue: "connection-timeout",
      content: "Increased the pool timeout to 30s",
      details: "ETIMEDOUT 10.0.0.7:5432 in acquireConnection()",
      success: false,
      score: expect.any(Number),
      match: "text",
      occurrences: 2,
      successes: 1,
      failures: 1,
      last_seen: LATER,
      last_seen_ms: Date.parse(LATER),
      agent: null,
      server: null,
      matched: expect.arrayContaining(["etimedout", "acquireconnection"]),
      explain: null,
    });
    expect(answer).toMatchObject({ next: null, explain: null });
    expect(answer.count).toBe((answer.results as unknown[]).length);
  });

  test("a key and its prefix come before text", async () => {
    const matches = async (query: string) => {
      const { results } = await json("recall", ["recall", query]);
      return (results as { key: string; match: string }[]).map(({ key, match }) => [key, match]);
    };
    expect((await matches("issue:connection"))[0]).toEqual(["issue:connection-timeout", "prefix"]);
    expect((await matches("issue:OOM"))[0]).toEqual(["issue:oom", "key"]);
    expect(await matches("zzz unheard of")).toEqual([]);
  });

  test("exact columns, limits and filters", async () => {
    expect(await rows(["recall", "pool timeout", "--limit", "1"])).toEqual([
      [
        "issue:connection-timeout",
        "Increased the pool timeout to 30s",
        "failed",
        "2",
        LATER,
        expect.stringMatching(/^\d+(\.\d+)?$/),
        CONNECTION,
        "pool timeout",
      ],
    ]);
    expect(await rows(["recall", "pool timeout", "--success"])).toEqual([]);
    expect(await rows(["recall", "pool timeout", "--agent", "nobody"])).toEqual([]);
    expect(await rows(["recall", "pool timeout", "--since", "2026-03-03"])).toEqual([]);
    expect(await rows(["recall", "pool timeout", "--agent", "obs-agent-1"])).toHaveLength(1);
  });

  test("--explain says of what the score is made", async () => {
    const { results, explain } = await json("recall", ["recall", "pool timeout", "--explain"]);
    const [best] = results as {
      score: number;
      explain: { signals: { share: number }[]; success: { share: number }; terms: string[] };
    }[];
    const { signals, success, terms } = best!.explain;
    expect(terms.sort()).toEqual(["pool", "timeout"]);
    const sum = signals.reduce((shares, { share }) => shares + share, success.share);
    expect(sum).toBeCloseTo(best!.score, 5);
    expect(explain).toMatchObject({ documents: 5, noisy: false, cut: false });
  });

  test("--best: one fix that worked, in words; exit code 4 without one", async () => {
    const known = ["recall", "--best", "reconnection storm"];
    expect(await json("recall --best", known)).toMatchObject({
      best: { key: "issue:reconnection-storm", content: "Added jitter, resolved", success: true },
      why: "convincing",
    });
    expect(await box.ok(known)).toMatch(
      /^Added jitter, resolved\n\nFor issue:reconnection-storm: it worked; /,
    );
    const failed = await json("recall --best", ["recall", "--best", "connection-timeout"], { code: 4 });
    expect(failed).toMatchObject({ best: null, why: "only_failed", failed: [{ id: CONNECTION }] });
    const unheard = await json("recall --best", ["recall", "--best", "zzz unheard"], { code: 4 });
    expect(unheard).toMatchObject({ best: null, why: "nothing_known", confidence: null, failed: [] });
  });

  test("--batch answers line by line, in order", async () => {
    const file = box.file("queries.ndjson", '{"id": "q1", "query": "pool timeout"}\n{"query": "zzz"}\n');
    const lines = (await box.ok(["recall", "--batch", file]))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      { id: "q1", results: [expect.objectContaining({ id: CONNECTION })], explain: null, degraded: [] },
      { id: 2, results: [], explain: null, degraded: [] },
    ]);
  });
});

describe("import, export, forget", () => {
  test("import stores the good lines, rejects the others with number and reason, exit 3", async () => {
    const good = '{"issue": "dns", "solution": "Restarted the resolver, fixed", "ts": 1772359200000}';
    const file = box.file("incidents.ndjson", `${good}\n\n{"issue": "dns"}\n${good}\nnot json\n`);
    const rejects = box.file("rejects.ndjson", "");
    const args = ["fixes", "import", file, "--rejects", rejects];
    expect(await json("fixes import", args, { code: 3 })).toEqual({
      lines: 4,
      imported: 1,
      duplicates: 1,
      rejected: 2,
      rejects,
      queued: [],
      degraded: [],
      masked: [],
      duration_ms: expect.any(Number),
    });
    const lines = readFileSync(rejects, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      {
        line: 3,
        reason: expect.stringContaining("content (or solution) is missing"),
        text: '{"issue": "dns"}',
      },
      { line: 5, reason: "not valid JSON", text: "not json" },
    ]);
    const { code, stdout } = await box.run(args);
    expect({ code, stdout }).toEqual({
      code: 3,
      stdout: expect.stringMatching(
        /^0 of 4 events stored, 2 already there, 2 rejected \(see .+\) in \d+\.\d s\n$/,
      ),
    });
  });

  test("an export imports into an empty file to the same export and the same counts", async () => {
    const exported = await box.ok(["fixes", "export"]);
    const times = exported
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { ts: number }).ts);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    const env = { OPSCTL_DB: `${box.dir}/copy.db` };
    const imported = await json("fixes import", ["fixes", "import", "-"], { env, input: exported });
    expect(imported).toMatchObject({ lines: 7, imported: 7, duplicates: 0, rejected: 0, rejects: null });
    expect(await box.ok(["fixes", "export"], { env })).toBe(exported);
    const [original, copy] = [await json("stats", ["stats"]), await json("stats", ["stats"], { env })];
    for (const name of ["fixes", "issues", "records", "events"]) expect(copy[name]).toBe(original[name]);
  });

  test("forget needs --yes without a terminal, --dry-run only looks; remembering brings it back", async () => {
    const { fixes } = await json("fixes", ["fixes", "--issue", "dns"]);
    const { id } = (fixes as { id: string }[])[0]!;
    expect(await box.run(["fixes", "forget", id])).toMatchObject({ code: 2, stdout: "" });
    const planned = await json("fixes forget", ["fixes", "forget", id, "--dry-run"]);
    expect(planned).toEqual({ id, key: "issue:dns", status: "planned", queued: [] });
    expect(await json("fixes", ["fixes", "--issue", "dns"])).toMatchObject({ count: 1 });
    const forgotten = await json("fixes forget", ["fixes", "forget", id, "--yes"]);
    expect(forgotten).toEqual({ id, key: "issue:dns", status: "forgotten", queued: [] });
    expect(await rows(["fixes", "--issue", "dns"])).toEqual([]);
    expect(await box.run(["fixes", "forget", id, "--yes"])).toMatchObject({ code: 25 });
    await box.ok(["remember", "issue:dns", "Restarted the resolver, fixed"]);
    expect(await json("fixes", ["fixes", "--issue", "dns"])).toMatchObject({ count: 1 });
  });
});

describe("looking around", () => {
  test("stats", async () => {
    const stats = await json("stats", ["stats"]);
    expect(stats).toMatchObject({
      neo4j_connected: false,
      memori_available: true,
      fixes: 5,
      agents: 3,
      issues: 5,
      records: 6,
      events: 8,
      queue: { waiting: 0, rejected: 0 },
      degraded: [],
    });
    expect(stats.engines).toContainEqual({
      engine: "sqlite",
      configured: true,
      connected: true,
      target: box.db,
      version: expect.stringMatching(/^3\./),
      latency_ms: expect.any(Number),
    });
    expect(stats.files).toMatchObject([
      { name: "data", path: box.db, size_bytes: expect.any(Number) },
      { name: "state", path: box.state },
    ]);
    expect(Object.fromEntries(await rows(["stats"]))).toMatchObject({
      fixes: "5",
      "engines.sqlite.connected": "true",
      "engines.postgres.configured": "false",
      "sqlite.tables.memori_events.rows": "8",
      // the first run has kept its sample there
      "files.state.size_bytes": expect.stringMatching(/^\d+$/),
    });
  });

  test("health: both shapes of the guides, and the exit code of the status", async () => {
    const { code, stdout } = await box.run(["health", "--json"]);
    const health = conforming("health", stdout) as { status: "healthy" | "degraded" | "unhealthy" };
    checked.add("health");
    expect(code).toBe({ healthy: 0, degraded: 3, unhealthy: 4 }[health.status]);
    expect(health).toMatchObject({
      timestamp: expect.stringMatching(ISO),
      checks: { disk: {}, memory: {}, database: { status: "ok", connected: true } },
      databases: { neo4j: "not configured", postgresql: "not configured", redis: "not configured" },
    });
    const lines = (await box.run(["health"])).stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split("\t"));
    expect(lines.map(([name]) => name)).toEqual([
      "disk",
      "memory",
      "cpu",
      "neo4j",
      "postgres",
      "redis",
      "sqlite",
      "overall",
    ]);
    expect(lines.every((line) => line.length === 3)).toBe(true);
  });

  test("doctor, wait, maintain and query", async () => {
    const diagnosis = await json("doctor", ["doctor", "sqlite"]);
    expect(diagnosis).toMatchObject({ status: "ok", findings: [] });
    const list = await json("doctor --list", ["doctor", "--list"]);
    expect(list.checks.map(({ id }: { id: string }) => id)).toEqual(
      expect.arrayContaining(["sqlite-integrity"]),
    );
    expect(await json("wait", ["wait"])).toMatchObject({ ready: true });
    expect(await json("maintain", ["maintain", "--dry-run"])).toMatchObject({ dry_run: true, degraded: [] });
    const statement = "SELECT count(*) AS events FROM memori_events";
    expect(await json("query", ["query", "sqlite", statement])).toMatchObject({
      columns: ["events"],
      rows: [[8]],
    });
    const textfile = `${box.dir}/opsctl.prom`;
    expect(await json("metrics --textfile", ["metrics", "--textfile", textfile])).toMatchObject({
      path: textfile,
    });
  });

  test("init finds nothing to do on a file that is in use; --list and --dry-run look", async () => {
    const initialized = await json("init", ["init"]);
    expect(initialized).toMatchObject({ dry_run: false, changed: false });
    expect(initialized.engines).toMatchObject([
      { engine: "sqlite", status: "unchanged", sets: [{ set: "memory", state: "unchanged", versions: [] }] },
    ]);
    expect(await box.ok(["init"])).toMatch(/\nno change\n$/);
    const env = { OPSCTL_DB: `${box.dir}/new.db` };
    expect(await box.ok(["init", "sqlite", "--dry-run"], { env })).toContain(
      "CREATE TABLE IF NOT EXISTS memori_metadata",
    );
    const list = await rows(["init", "--list"]);
    expect(list).toContainEqual([
      "sqlite",
      "memory",
      "v1.1.0",
      "applied",
      "V002",
      "records, events, agents and their index",
      "yes",
    ]);
    expect((await json("init --list", ["init", "--list"])).degraded).toEqual([]);
  });

  test("env shows settings with their sources, connections, and both files", async () => {
    const env = await json("env", ["env"]);
    expect(env.settings).toContainEqual({ name: "OPSCTL_DB", value: box.db, source: "environment" });
    expect(env.settings).toContainEqual({ name: "OPSCTL_POOL_SIZE", value: "4", source: "default" });
    expect(env.files).toEqual([
      { name: "data", path: box.db, exists: true, owner: expect.stringMatching(OWNER), mode: "0600" },
      { name: "state", path: box.state, exists: true, owner: expect.stringMatching(OWNER), mode: "0600" },
    ]);
    expect(await rows(["env"])).toContainEqual(["sqlite connection", box.db, "in use"]);
  });

  test("help and completion", async () => {
    const help = await box.ok(["help", "json"]);
    for (const command of Object.keys(CONTRACTS)) expect(help).toContain(`\n${command}\n`);
    expect(await box.ok(["help", "environment"])).toContain("OPSCTL_DB");
    expect(await box.ok(["help", "fixes"])).toBe(await box.ok(["fixes", "--help"]));
    for (const shell of ["bash", "zsh", "fish"]) {
      expect(await box.ok(["completion", shell])).toContain("success-rate");
    }
    const offered = await box.shell(
      'eval "$(opsctl completion bash)"; COMP_WORDS=(opsctl fixes sim); COMP_CWORD=2; _opsctl; echo "$' +
        '{COMPREPLY[*]}"',
    );
    expect(offered).toMatchObject({ code: 0, stdout: "similar\n" });
  });
});

describe("with a server that is down", () => {
  const env = { NEO4J_URI: "bolt://127.0.0.1:1", OPSCTL_STATE: `${box.dir}/queue.db` };

  test("writes are queued, with exit 0, or 3 with --strict", async () => {
    const args = ["remember", "issue:queued", "Wait", "--event-id", "q-1"];
    expect(await json("remember", args, { env })).toMatchObject({ status: "queued", queued: ["neo4j"] });
    const agent = ["register-agent", "obs-agent-9", "--server", "prod-9", "--strict"];
    const queued = await json("register-agent", agent, { env, code: 3 });
    expect(queued).toMatchObject({ status: "queued", queued: ["neo4j"] });
    expect(await json("fixes", ["fixes"], { env })).toMatchObject({
      count: 1,
      degraded: [{ engine: "neo4j", code: "unreachable" }],
    });
    expect((await box.run(["fixes", "--strict"], { env })).code).toBe(3);
  });

  test("queue lists, syncs and drops", async () => {
    const { queue, ...totals } = await json("queue", ["queue"], { env });
    expect(totals).toEqual({ count: 2, waiting: 2, rejected: 0 });
    expect(queue).toMatchObject([
      {
        seq: 1,
        store: "neo4j:127.0.0.1:1/neo4j",
        kind: "remember",
        subject: "issue:queued",
        state: "waiting",
      },
      { seq: 2, kind: "agent", subject: "obs-agent-9" },
    ]);
    const [first] = await rows(["queue"], { env });
    expect(first).toEqual([
      "1",
      "neo4j:127.0.0.1:1/neo4j",
      "remember",
      "issue:queued",
      "waiting",
      expect.stringMatching(/^\d+$/),
      expect.stringContaining("127.0.0.1:1"),
      expect.stringMatching(ISO),
    ]);
    const synced = await json("queue sync", ["queue", "sync"], { env, code: 3 });
    expect(synced).toMatchObject({ delivered: 0, waiting: 2, rejected: 0, degraded: [{ engine: "neo4j" }] });
    expect(await json("queue drop", ["queue", "drop", "1", "--dry-run"], { env })).toEqual({
      seq: 1,
      status: "planned",
    });
    expect((await box.run(["queue", "drop", "1"], { env })).code).toBe(2);
    expect(await json("queue drop", ["queue", "drop", "1", "--yes"], { env })).toEqual({
      seq: 1,
      status: "dropped",
    });
    expect(await json("queue", ["queue"], { env })).toMatchObject({ count: 1, waiting: 1 });
  });
});

test("backups are made, listed, shown, verified, compared and kept by a policy", async () => {
  const first = await json("backup", ["backup"]);
  expect(first).toMatchObject({
    state: "complete",
    consistency: "consistent",
    parts: [{ engine: "sqlite", files: ["sqlite/data.db"], state: "complete" }],
    verified: { level: "checksums" },
  });
  await box.ok(["remember", "issue:after-the-backup", "one more"]);
  const second = await json("backup", ["backup", "--name", "second"]);
  const listed = await json("backup list", ["backup", "list"]);
  expect(listed["backups"]).toMatchObject([
    { name: "second", latest: true, state: "complete" },
    { name: first["name"], latest: false },
  ]);
  expect(await json("backup show", ["backup", "show", "latest"])).toMatchObject({ name: "second" });
  const verified = await json("backup verify", ["backup", "verify", "--level", "parse", "second"]);
  expect(verified["backups"]).toMatchObject([{ name: "second", ok: true }]);
  const drilled = await json("backup drill", ["backup", "drill", "second"]);
  expect(drilled).toMatchObject({ ok: true, level: "drill", parts: [{ engine: "sqlite", loaded: true }] });
  expect((await json("restore", ["restore"]))["count"]).toBe(2);
  const restored = await json("restore NAME", ["restore", first["name"], "--yes"]);
  expect(restored).toMatchObject({
    state: "done",
    ok: true,
    trusted: "catalogue",
    parts: [{ undo: "safety" }],
  });
  const undone = await json("restore --rollback", ["restore", "--rollback", "--yes"]);
  expect(undone).toMatchObject({ id: restored["id"], state: "undone" });
  await box.ok(["restore", "second", "--yes"]);
  expect(await json("restore --forget", ["restore", "--forget", "--yes"])).toMatchObject({ count: 1 });
  const difference = await json("backup diff", ["backup", "diff", first["name"], "second"]);
  expect(difference["changes"]).toContainEqual(
    expect.objectContaining({ engine: "sqlite", kind: "count", name: "rows" }),
  );
  expect(second["sequence"]).toBeGreaterThan(first["sequence"]);
  const [schedule] = (await json("backup schedule", ["backup", "schedule", "0 3 * * *"]))["next"];
  expect(schedule).toMatch(/T03:00:00/);
  const grants = await json("backup grants", ["backup", "grants", "redis"]);
  expect(grants["grants"]).toMatchObject([{ engine: "redis", text: expect.stringContaining("ACL SETUSER") }]);
  const cleaned = await json("cleanup", ["cleanup", "--keep-last", "1"]);
  expect(cleaned["archives"]).toMatchObject([
    { name: "second", action: "keep" },
    { name: first["name"], action: "remove" },
  ]);
  expect((await json("backup list", ["backup", "list"]))["backups"]).toHaveLength(1);
});

test("every contract was checked", async () => {
  const { code, stdout, stderr } = await box.run(["fixes", "show", "nothing", "--json"]);
  expect({ code, stdout }).toEqual({ code: 25, stdout: "" });
  expect(conforming("errors (stderr)", stderr)).toMatchObject({
    code: "not_found",
    exit_code: 25,
    engine: null,
  });
  checked.add("errors (stderr)");
  // migrate.test.ts has a journey of its own
  const others = Object.keys(CONTRACTS).filter((name) => !name.startsWith("migrate"));
  expect([...checked].sort()).toEqual(others.sort());
});
