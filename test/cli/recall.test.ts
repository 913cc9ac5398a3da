/** What recall answers, why, and what no query can do to it. */
import type * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { bestFix, recalled } from "../../src/contract/recall.ts";
import { BEST_THRESHOLD, POOL_SIZE } from "../../src/memory/tuning.ts";
import { conforming, Sandbox } from "../support/cli.ts";

type Recalled = v.InferOutput<typeof recalled>;

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const TRACE = (host: string, at: string, id: string, line: number) => `${at} INFO  start ${id}
${at} ERROR pool: java.sql.SQLTransientConnectionException: HikariPool-1 - Connection to ${host} is not available, request ${id} timed out after 30${line} ms
	at com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:${line})
	at com.acme.orders.OrderStore.load(OrderStore.java:${line + 40})
${at} INFO  end ${id}
${at} INFO  end ${id}`;

beforeAll(async () => {
  const events = [
    {
      issue: "pool-timeout",
      solution: "Raised maximumPoolSize to 40",
      success: true,
      details: TRACE("10.0.0.7:5432", "2026-01-02T03:04:05Z", "6f1c1a52-0a4e-4d8e-9d0a-0f4d8f0e4b11", 11),
    },
    { issue: "pool-timeout", solution: "Restarted the service", success: false },
    { issue: "deadlock detected", solution: "Lock rows in the order of their ids", success: true },
    { issue: "deadlock detected", solution: "Lock rows in the order of their ids", success: true },
    { issue: "certificate verify failed", solution: "Install the CA bundle", success: false },
    { key: "note:neo4j", content: "heap must not be larger than 31 GB" },
    ...Array.from({ length: 20 }, (_, nth) => ({
      issue: "redis-oom",
      solution: "Raised maxmemory",
      success: nth < 19,
    })),
    ...Array.from({ length: 10 }, (_, nth) => ({
      issue: "kafka-lag",
      solution: "Restarted the broker",
      success: nth > 8,
    })),
    { issue: "deploy-rollback", solution: "Roll back", success: true },
    { key: "deploy:runbook", content: "Follow page 7" },
    ...Array.from({ length: 30 }, (_, nth) => ({
      issue: `disk ${nth}`,
      solution: `cleaned the volume of host ${nth}`,
      success: nth % 2 === 0,
    })),
  ];
  await box.ok(["fixes", "import", "-"], {
    input: events
      .map((event, nth) => JSON.stringify({ ts: 1_780_000_000_000 + nth, ...event, event_id: `e${nth}` }))
      .join("\n"),
  });
});

async function recall(args: string[], input?: string): Promise<Recalled> {
  const text = await box.ok(["recall", ...args, "--json"], input === undefined ? {} : { input });
  return conforming("recall", text) as Recalled;
}

test("a pasted trace finds its fix although every value in it is another", async () => {
  const trace = TRACE("172.16.3.4:5432", "2026-05-06T07:08:09Z", "0b5f9a9e-77aa-4b7e-8a53-b6a3c1a5f2d3", 99);
  const { results, explain } = await recall(["-", "--explain"], trace);
  expect(results[0]).toMatchObject({ issue: "pool-timeout", content: "Raised maximumPoolSize to 40" });
  expect(results[0]!.explain!.signals.find(({ name }) => name === "shape")?.raw).toBeGreaterThan(0);
  expect(explain).toMatchObject({ noisy: true, folded_lines: 1 });
  // its ids and addresses are no words
  const words = [...explain!.searched, ...explain!.not_searched].map(({ term }) => term).join(" ");
  expect(words).not.toMatch(/0b5f9a9e|77aa|172/);
});

test("--explain: the shares add up to the score, and the outcome's interval is that of its events", async () => {
  const { results } = await recall(["deadlock detected rows order", "--explain"]);
  expect(results.length).toBeGreaterThan(0);
  for (const { score, explain } of results) {
    const { signals, success } = explain!;
    const sum = signals.reduce((total, { share }) => total + share, success.share);
    expect(sum).toBeCloseTo(score, 6);
  }
  const [first] = results;
  expect(first).toMatchObject({ issue: "deadlock detected", occurrences: 2, successes: 2 });
  // Wilson 1927: two of two
  expect(first!.explain!.success).toMatchObject({ rate: 1, high: 1 });
  expect(first!.explain!.success.low).toBeCloseTo(0.3424, 3);
  expect(first!.matched).toEqual(expect.arrayContaining(["deadlock", "detected", "rows", "order"]));
  expect((await recall(["deadlock"])).explain).toBeNull();
  const text = await box.ok(["recall", "deadlock detected", "--explain"]);
  expect(text).toMatch(/score \d/);
  expect(text).toMatch(/cosine {4}/);
});

test("typos and fragments find what was meant, and --explain says so", async () => {
  const { results, explain } = await recall(["certifcate verfy", "--explain"]);
  expect(results[0]).toMatchObject({ issue: "certificate verify failed" });
  expect(explain!.replaced.map(({ word, by }) => [word, by[0]!.term])).toEqual(
    expect.arrayContaining([["certifc", "certif"]]),
  );
  expect((await recall(["deadlo"])).results[0]).toMatchObject({ issue: "deadlock detected" });
  expect((await recall(["banana"])).results).toEqual([]);
});

test("an issue by its name comes first, what worked before what did not", async () => {
  for (const query of ["issue:pool-timeout", "POOL-TIMEOUT", " pool-timeout "]) {
    const { results } = await recall([query, "--limit", "2"]);
    expect(results.map(({ content, match }) => [content, match])).toEqual([
      ["Raised maximumPoolSize to 40", "key"],
      ["Restarted the service", "key"],
    ]);
  }
});

describe("--best", () => {
  const best = async (query: string, code: number) => {
    const { stdout, ...ran } = await box.run(["recall", "--best", query, "--json"]);
    expect(ran.code).toBe(code);
    return conforming("recall --best", stdout) as v.InferOutput<typeof bestFix>;
  };

  test("prints the fix in plain words, and names what did not work", async () => {
    const text = await box.ok(["recall", "--best", "issue:pool-timeout"]);
    expect(text).toMatch(
      /^Raised maximumPoolSize to 40\n\nFor issue:pool-timeout: it worked; seen once, last /,
    );
    expect(text).toContain("Did not work: Restarted the service");
    expect(await best("deadlock detected", 0)).toMatchObject({
      why: "convincing",
      confidence: 1,
      threshold: BEST_THRESHOLD,
      best: { content: "Lock rows in the order of their ids" },
      failed: [],
    });
  });

  test("an outcome is that of all events, not of the last one alone", async () => {
    const text = await box.ok(["recall", "--best", "redis-oom"]);
    expect(text).toMatch(
      /^Raised maxmemory\n\nFor issue:redis-oom: it worked 19 of 20 times, but not the last time;/,
    );
    expect(await best("kafka-lag", 4)).toMatchObject({ best: null, why: "only_failed" });
  });

  test("the start of a key is as sure as it is long", async () => {
    expect((await best("d", 4)).confidence).toBeLessThan(BEST_THRESHOLD);
    expect((await best("deploy:runboo", 0)).best).toMatchObject({ key: "deploy:runbook" });
  });

  test.each([
    ["nothing known", "banana split", "nothing_known"],
    ["one common word", "volume of a zebra on the moon", "not_convincing"],
    ["only what failed", "certificate verify failed", "only_failed"],
  ])("%s: exit 4, nothing on stdout, the reason on stderr", async (_name, query, why) => {
    expect(await best(query, 4)).toMatchObject({ best: null, why });
    const { stdout, stderr, code } = await box.run(["recall", "--best", query]);
    expect([stdout, code]).toEqual(["", 4]);
    expect(stderr).toMatch(/nothing/);
  });
});

test("pages give every result once, in the order of the whole list; a cursor belongs to its query", async () => {
  const whole = (await recall(["cleaned the volume of host", "--limit", "100"])).results;
  expect(whole).toHaveLength(30);
  expect(whole.length).toBeLessThan(POOL_SIZE);
  const paged: string[] = [];
  let after: string[] = [];
  for (let page = 0; page < 10; page += 1) {
    const { results, next } = await recall(["cleaned the volume of host", "--limit", "7", ...after]);
    paged.push(...results.map(({ id }) => id));
    if (next === null) break;
    after = ["--after", next];
  }
  expect(paged).toEqual(whole.map(({ id }) => id));
  for (const args of [
    ["another query", ...after],
    ["cleaned the volume of host", "--after", "e30"],
  ]) {
    const { code, stderr } = await box.run(["recall", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain("--after");
  }
});

/** What the query languages of the stores would take for syntax; `finds`: a record that its words stand in. */
const HOSTILE: [name: string, query: string, finds?: string][] = [
  ["an open quote", '"deadlock', "deadlock detected"],
  ["a star", "dead*"],
  ["only stars", "* ** *"],
  ["NEAR", "NEAR(deadlock detected, 2)", "deadlock detected"],
  ["a column", "title:deadlock", "deadlock detected"],
  ["a column filter", "{title body} : deadlock", "deadlock detected"],
  ["a caret", "^deadlock", "deadlock detected"],
  ["AND OR NOT", "AND OR NOT"],
  ["NOT", "deadlock NOT detected", "deadlock detected"],
  ["a regular expression", "/deadlock.*/", "deadlock detected"],
  ["fuzzy", "deadlock~2 AND (detected)^4", "deadlock detected"],
  ["a range", "[a TO z} _exists_:issue"],
  ["tsquery", "deadlock & ! detected <-> x:*", "deadlock detected"],
  ["a backslash", "\\\\deadlock\\", "deadlock detected"],
  ["SQL", "'; DROP TABLE memori_metadata; --"],
  ["a bare prefix", "issue:"],
  ["dashes", "--- - -- ------"],
  ["stopwords", "the of and to in"],
  ["punctuation", "!?.,;:()[]{}<>|&~^%$#@`'\""],
  ["CJK", "数据库 连接 超时"],
  ["emoji", "🔥💥 👩‍👩‍👧"],
  ["a NUL and a lone surrogate", "dead\u0001lock \ufffd"],
  ["right to left", "\u202edeadlock\u202c", "deadlock detected"],
];

describe("a query is words, never syntax", () => {
  test.each(HOSTILE)("%s", async (_name, query, finds) => {
    const { results } = await recall(["-", "--limit", "100"], query);
    if (finds !== undefined) expect(results[0]?.issue).toBe(finds);
    // syntax that is obeyed would widen it: nothing but its words is matched
    else if (/^[^a-z]*$/i.test(query)) expect(results).toEqual([]);
    else expect(results.length).toBeLessThanOrEqual(query === "issue:" ? 100 : 3);
  });

  test("10 MiB of it", async () => {
    const query = `${"deadlock detected ".repeat(10)}${"x1 ".repeat(3_500_000)}`;
    const { results, explain } = await recall(["-", "--explain"], query);
    expect(results[0]?.issue).toBe("deadlock detected");
    expect(explain!.skipped_bytes).toBeGreaterThan(9_000_000);
    const { code, stderr } = await box.run(["recall", "-"], { input: "x".repeat(17 * 1024 * 1024) });
    expect(code).toBe(2);
    expect(stderr).toContain("QUERY");
  });
});

describe("no server answers, and nothing is queued", () => {
  const env = () => ({
    DATABASE_URL: "postgresql://u:p@127.0.0.1:1/none",
    OPSCTL_STATE: `${box.dir}/alone.db`,
  });

  test.each([[["recall", "pool leak"]], [["recall", "issue:pool"]], [["recall", "-"]]])(
    "%j ends, and says what is missing",
    async (args) => {
      const { code, stdout, stderr } = await box.run(args, { env: env(), input: "pool leak" });
      expect([code, stdout]).toEqual([0, ""]);
      expect(stderr).toContain("postgres is missing here");
    },
  );

  test("--best and --batch", async () => {
    expect(await box.run(["recall", "pool leak", "--best"], { env: env() })).toMatchObject({
      code: 4,
      stdout: "",
    });
    const batch = await box.run(["recall", "--batch", "-"], {
      env: env(),
      input: '{"id":1,"query":"pool"}\n',
    });
    expect(JSON.parse(batch.stdout)).toMatchObject({
      id: 1,
      results: [],
      degraded: [{ engine: "postgres" }],
    });
  });
});

test("the same answer on 50 runs", async () => {
  const answers = new Set<string>();
  for (let run = 0; run < 50; run += 1)
    answers.add(await box.ok(["recall", "volume of the pool deadlock", "--json"]));
  expect(answers.size).toBe(1);
});
