import { bounded, NoAnswer } from "../../bounded.ts";
import { abortError, type Call } from "../../call.ts";
import { type EngineName, type ErrorCode, OpsError, toOpsError } from "../../errors.ts";
import { type Check, type Found, type Severity, Unknowable } from "./check.ts";

/** A check together with what it works with. */
export type BoundCheck = Omit<Check<unknown>, "run"> & { run(call: Call): Promise<Found[]> };

/** Gives a check its scope. */
export function bind<Scope>(check: Check<Scope>, scope: Scope): BoundCheck {
  const { id, area, title, looks } = check;
  return { id, area, title, looks, run: (call) => check.run(call, scope) };
}

/** The checks of one engine, which run one after another; or those beside the engines. */
export interface CheckGroup {
  engine: EngineName | null;
  checks: readonly BoundCheck[];
  /** Why its engine cannot be asked: its checks are skipped. */
  absent?: string | undefined;
  /** What it answered when it was asked, and failed: when a check meets the same, the others are skipped. */
  doubt?: string | undefined;
}

export interface Finding extends Found {
  check: BoundCheck;
}

export interface CheckOutcome {
  check: BoundCheck;
  status: "ok" | "found" | "unknown" | "skipped";
  /** Why it is unknown or skipped. */
  reason: string | null;
  hint: string | null;
  duration_ms: number;
}

export interface Diagnosis {
  /** Worst first; within a severity in the order of the checks. */
  findings: Finding[];
  outcomes: CheckOutcome[];
}

/** Time for one check, ms. */
const CHECK_LIMIT_MS = 10_000;

/** Checks in a row that may get no answer from a server; then the rest of its group is skipped. */
const PATIENCE = 2;

/** The worst first. */
export const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];
/** After this a server is not asked again. A refused privilege says nothing about the next check. */
const GONE: ErrorCode = "unreachable";

/**
 * Runs all checks: groups side by side, the checks of a group one after another. A check that takes too long or may not look is `unknown`; one
 * whose server stopped answering, or the second in a row without an answer, leaves the rest of its group skipped.
 * @throws OpsError only when the call is interrupted
 */
export async function diagnose(
  call: Call,
  groups: readonly CheckGroup[],
  limitMs = CHECK_LIMIT_MS,
): Promise<Diagnosis> {
  const total = groups.reduce((sum, { checks }) => sum + checks.length, 0);
  let done = 0;
  const tick = (label: string) => call.progress({ label, done: done++, total, unit: "checks" });
  const results = await Promise.all(groups.map((group) => runGroup(call, group, limitMs, tick)));
  const findings = results.flatMap((result) => result.findings);
  return {
    findings: SEVERITIES.flatMap((severity) => findings.filter((one) => one.severity === severity)),
    outcomes: results.flatMap(({ outcomes }) => outcomes),
  };
}

async function runGroup(
  call: Call,
  group: CheckGroup,
  limitMs: number,
  tick: (label: string) => void,
): Promise<Diagnosis> {
  const findings: Finding[] = [];
  const outcomes: CheckOutcome[] = [];
  let { absent } = group;
  let silent = 0;
  for (const check of group.checks) {
    tick(check.id);
    if (absent !== undefined) {
      outcomes.push({ check, status: "skipped", reason: absent, hint: null, duration_ms: 0 });
      continue;
    }
    const startedAt = performance.now();
    const { found, isSilent, isGone, ...outcome } = await look(call, check, limitMs);
    findings.push(...found.map((one) => ({ ...one, check })));
    outcomes.push({ check, ...outcome, duration_ms: Math.round(performance.now() - startedAt) });
    silent = isSilent ? silent + 1 : 0;
    if (group.engine === null) continue;
    if (isGone || (outcome.status === "unknown" && outcome.reason === group.doubt)) absent = outcome.reason!;
    else if (silent === PATIENCE) absent = `${PATIENCE} checks in a row got no answer from it`;
  }
  return { findings, outcomes };
}

interface Look extends Pick<CheckOutcome, "status" | "reason" | "hint"> {
  found: Found[];
  /** No answer within the limit. */
  isSilent: boolean;
  /** The server is not there any more. */
  isGone: boolean;
}

/** Runs one check. What it began is told when its time is over, so that it does not hold the connection. */
async function look(call: Call, check: BoundCheck, limitMs: number): Promise<Look> {
  const over = new AbortController();
  const own = { ...call, signal: AbortSignal.any([call.signal, over.signal]) };
  const answer = (status: CheckOutcome["status"], reason: string | null = null, hint?: string): Look => ({
    status,
    reason,
    hint: hint ?? null,
    found: [],
    isSilent: false,
    isGone: false,
  });
  const work = check.run(own);
  try {
    const found = await bounded(work, limitMs, call.signal);
    return { ...answer(found.length === 0 ? "ok" : "found"), found };
  } catch (error) {
    // whatever it still says, nobody listens
    work.catch(() => {});
    if (call.signal.aborted) throw abortError(call.signal.reason);
    if (error instanceof Unknowable) return answer("unknown", error.message, error.hint);
    const { code, message, hint } = toOpsError(error);
    if (error instanceof NoAnswer) {
      over.abort(new OpsError({ code: "unreachable", message }));
      return { ...answer("unknown", message), isSilent: true };
    }
    return { ...answer("unknown", message, hint), isGone: code === GONE };
  }
}
