import { abortError, type Call } from "../call.ts";
import { type Degraded, type EngineName, OpsError, toDegraded, toOpsError } from "../errors.ts";
import type { Maintenance, MaintenanceOptions, MaintenanceTask } from "./port.ts";

/** A target whose maintenance is asked for. `open` may connect; it is called once. */
export interface MaintenanceTarget {
  engine: EngineName;
  open: () => Promise<Maintenance>;
}

export interface PlannedTask {
  engine: EngineName;
  task: MaintenanceTask;
}

export interface TaskOutcome extends PlannedTask {
  /** `stopped`: the time was over while it ran; `skipped`: before it began. */
  status: "planned" | "done" | "failed" | "stopped" | "skipped";
  duration_ms: number | null;
  freed_bytes: number | null;
  note: string | null;
  error: OpsError | null;
}

/** Asks all targets side by side; one that does not answer hides no other. @throws OpsError only when the call is interrupted */
export async function planMaintenance(
  call: Call,
  targets: readonly MaintenanceTarget[],
  options: MaintenanceOptions,
): Promise<{ tasks: PlannedTask[]; degraded: Degraded[] }> {
  const degraded: Degraded[] = [];
  const plans = await Promise.all(
    targets.map(async ({ engine, open }) => {
      try {
        const tasks = await (await open()).plan(call, options);
        return tasks.map((task) => ({ engine, task }));
      } catch (error) {
        if (call.signal.aborted) throw abortError(call.signal.reason);
        degraded.push(toDegraded(engine, error));
        return [];
      }
    }),
  );
  return { tasks: plans.flat(), degraded };
}

/**
 * Runs tasks one after another: they share the disks. One that fails leaves the others; at the deadline the running one is told to stop and
 * the rest is skipped.
 * @throws OpsError when a signal interrupts it
 */
export async function runMaintenance(call: Call, tasks: readonly PlannedTask[]): Promise<TaskOutcome[]> {
  const outcomes: TaskOutcome[] = [];
  for (const [done, planned] of tasks.entries()) {
    const { kind, subject } = planned.task;
    call.progress({ label: `${kind} ${subject}`, done, total: tasks.length, unit: "statements" });
    outcomes.push(call.remainingMs() > 0 ? await runTask(call, planned) : skipped(planned));
  }
  return outcomes;
}

async function runTask(call: Call, planned: PlannedTask): Promise<TaskOutcome> {
  const startedAt = performance.now();
  const took = () => Math.round(performance.now() - startedAt);
  try {
    const { freed_bytes, note } = await planned.task.run(call);
    return { ...planned, status: "done", duration_ms: took(), freed_bytes, note, error: null };
  } catch (error) {
    // a signal has a reason of ours; the deadline has that of its timer, which may be a hair early
    const isOver =
      call.remainingMs() === 0 || (call.signal.aborted && !(call.signal.reason instanceof OpsError));
    if (call.signal.aborted && !isOver) throw abortError(call.signal.reason);
    const known = toOpsError(error);
    const ended = { ...planned, duration_ms: took(), freed_bytes: null };
    return isOver
      ? { ...ended, status: "stopped", note: `the time was over; ${known.message}`, error: null }
      : { ...ended, status: "failed", note: null, error: known };
  }
}

/** An outcome of a task that was not run. */
export function skipped(planned: PlannedTask, status: "planned" | "skipped" = "skipped"): TaskOutcome {
  return { ...planned, status, duration_ms: null, freed_bytes: null, note: null, error: null };
}
