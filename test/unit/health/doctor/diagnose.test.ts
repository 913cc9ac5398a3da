import { expect, it } from "vitest";
import { createCall } from "../../../../src/call.ts";
import { OpsError } from "../../../../src/errors.ts";
import { type Found, type Severity, Unknowable } from "../../../../src/health/doctor/check.ts";
import { type BoundCheck, type CheckGroup, diagnose } from "../../../../src/health/doctor/run.ts";
import { testCall } from "../../../support/calls.ts";

const found = (severity: Severity, subject: string): Found => ({
  severity,
  subject,
  evidence: "seen",
  cause: "so",
  remedies: [],
});

function check(id: string, run: BoundCheck["run"]): BoundCheck {
  return { id, area: "stack", title: id, looks: id, run };
}

const clean = (id: string) => check(id, async () => []);
const finding = (id: string, ...severities: Severity[]) =>
  check(id, async () => severities.map((severity) => found(severity, id)));
const failing = (id: string, error: unknown) => check(id, () => Promise.reject(error));
const gone = new OpsError({ code: "unreachable", message: "the server is gone", hint: "look" });

const group = (checks: BoundCheck[], engine: CheckGroup["engine"] = "redis"): CheckGroup => ({
  engine,
  checks,
});
const statuses = async (groups: CheckGroup[], limitMs?: number) =>
  (await diagnose(testCall(), groups, limitMs)).outcomes.map(({ check: { id }, status }) => [id, status]);

it("puts the worst first, and within a severity the order of the checks", async () => {
  const { findings, outcomes } = await diagnose(testCall(), [
    group([finding("a", "info", "error"), clean("b"), finding("c", "warning")]),
    group([finding("d", "error", "warning")], null),
  ]);
  expect(findings.map(({ severity, check: { id } }) => `${severity} ${id}`)).toEqual([
    "error a",
    "error d",
    "warning c",
    "warning d",
    "info a",
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["found", "ok", "found", "found"]);
});

it("says what could not be known, with its hint, and goes on", async () => {
  const { outcomes } = await diagnose(testCall(), [
    group([
      failing("forbidden", new Unknowable("needs pg_monitor", "GRANT pg_monitor TO you")),
      failing("refused", new OpsError({ code: "auth", message: "NOPERM", hint: "allow it" })),
      failing("defect", new TypeError("x is undefined")),
      clean("last"),
    ]),
  ]);
  expect(outcomes.map(({ status, reason, hint }) => [status, reason, hint])).toEqual([
    ["unknown", "needs pg_monitor", "GRANT pg_monitor TO you"],
    ["unknown", "NOPERM", "allow it"],
    ["unknown", "x is undefined", null],
    ["ok", null, null],
  ]);
});

it("asks a server that went away no more, and others still", async () => {
  expect(
    await statuses([
      group([clean("r1"), failing("r2", gone), clean("r3"), clean("r4")]),
      group([clean("p1")], "postgres"),
      group([failing("s1", gone), clean("s2")], null),
    ]),
  ).toEqual([
    ["r1", "ok"],
    ["r2", "unknown"],
    ["r3", "skipped"],
    ["r4", "skipped"],
    ["p1", "ok"],
    ["s1", "unknown"],
    ["s2", "ok"],
  ]);
});

it("skips the checks of an engine that cannot be asked, with the reason", async () => {
  const { outcomes } = await diagnose(testCall(), [
    { ...group([finding("r1", "error")]), absent: "Redis refuses connections" },
  ]);
  expect(outcomes).toMatchObject([
    { status: "skipped", reason: "Redis refuses connections", duration_ms: 0 },
  ]);
});

it("tries an engine that answered with a failure, and stops when a check meets the same", async () => {
  const doubt = "has no such database";
  const failed = new OpsError({ code: "failed", message: doubt });
  const other = new OpsError({ code: "failed", message: "refused" });
  const checks = [clean("r1"), failing("r2", other), failing("r3", failed), clean("r4")];
  expect(await statuses([{ ...group(checks), doubt }])).toEqual([
    ["r1", "ok"],
    ["r2", "unknown"],
    ["r3", "unknown"],
    ["r4", "skipped"],
  ]);
});

it("ends a check that takes too long and tells it; after two in a row the server counts as frozen", async () => {
  const told: string[] = [];
  const hanging = (id: string) =>
    check(
      id,
      (call) => new Promise(() => call.signal.addEventListener("abort", () => told.push(id), { once: true })),
    );
  const checks = [hanging("h1"), clean("c"), hanging("h2"), hanging("h3"), clean("last")];
  expect(await statuses([group(checks)], 30)).toEqual([
    ["h1", "unknown"],
    ["c", "ok"],
    ["h2", "unknown"],
    ["h3", "unknown"],
    ["last", "skipped"],
  ]);
  expect(told).toEqual(["h1", "h2", "h3"]);
  // beside the engines there is no server that could stand still
  expect((await statuses([group([hanging("x"), hanging("y"), clean("z")], null)], 30)).at(-1)).toEqual([
    "z",
    "ok",
  ]);
});

it("stops at once when it is interrupted", async () => {
  const stop = new AbortController();
  const call = createCall({ actor: "tester@host", signal: stop.signal });
  const running = diagnose(call, [group([check("endless", () => new Promise(() => stop.abort()))])]);
  await expect(running).rejects.toMatchObject({ name: "OpsError" });
});
