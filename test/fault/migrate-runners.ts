/** Several runners on one database. */
import { expect } from "vitest";
import { collect, type Ran, type Sandbox } from "../support/cli.ts";
import { commandLine, onLines } from "./migrate-kill.ts";
import type { Subject } from "./migrate-subject.ts";
import { checkWhole } from "./migrate-truth.ts";

/** Six at once: one works, the others wait, find nothing left to do, and say so. */
export async function sixRunners(box: Sandbox, subject: Subject): Promise<void> {
  const { env, files } = subject;
  const runs = Array.from({ length: 6 }, () => box.run(commandLine(subject, "up"), { env }));
  const ended = await Promise.all(runs);
  for (const { code, stderr } of ended) expect({ code, stderr }).toMatchObject({ code: 0 });
  const working = ended.filter(({ stdout }) => stdout !== "");
  expect(working.map(({ stdout }) => stdout.trimEnd().split("\n").length)).toEqual([files.length]);
  const waiting = ended.filter(({ stdout }) => stdout === "");
  for (const { stderr } of waiting) expect(stderr).toMatch(/nothing to do, .* is up to date/);
  await checkWhole(box, subject);
}

/** Does `work` while a run is stopped with SIGSTOP after ten of its files; then lets it go on, and returns how it ended. */
export async function whileStopped(
  box: Sandbox,
  subject: Subject,
  work: (pid: number) => Promise<void>,
): Promise<Ran> {
  const env = { ...subject.env, OBS_AGENT_LOG_LEVEL: "INFO" };
  const child = box.start(commandLine(subject, "up"), { env });
  const ended = collect(child);
  try {
    await new Promise<void>((resolve, reject) => {
      onLines(child.stderr!, 10, () => {
        child.kill("SIGSTOP");
        resolve();
      });
      ended.then(({ stderr }) => reject(new Error(`ended before it was stopped: ${stderr}`)), reject);
    });
    await work(child.pid!);
    child.kill("SIGCONT");
    return await ended;
  } finally {
    child.kill("SIGKILL");
  }
}

/** A second runner does not wait longer than it was told, and names the one that holds the lock. */
export async function stoppedHolder(
  box: Sandbox,
  subject: Subject,
  names: (pid: number) => RegExp,
): Promise<void> {
  const { env, target } = subject;
  const first = await whileStopped(box, subject, async (pid) => {
    const second = await box.run([...commandLine(subject, "up"), "--lock-wait", "1s"], { env });
    expect(second.stderr).toMatch(names(pid));
    expect(second.stderr).toMatch(/^Try: ./m);
    expect(second).toMatchObject({ code: 22, stdout: "" });
    // status asks nobody for the lock
    const { engines } = await box.json("migrate status", ["migrate", "status", ...target], { env });
    expect(engines[0].applied).toBeGreaterThanOrEqual(10);
  });
  expect(first.code, first.stderr).toBe(0);
  await checkWhole(box, subject);
}
