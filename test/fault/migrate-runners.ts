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

/** A run that is stopped with SIGSTOP after some of its files. */
export interface Stopped {
  pid: number;
  /** Lets it go on and waits for its end. */
  goOn(): Promise<Ran>;
}

export async function stopInTheMiddle(box: Sandbox, subject: Subject, files = 10): Promise<Stopped> {
  const child = box.start(commandLine(subject, "up"), {
    env: { ...subject.env, OBS_AGENT_LOG_LEVEL: "INFO" },
  });
  const ended = collect(child);
  await new Promise<void>((resolve, reject) => {
    onLines(child.stderr!, files, () => {
      child.kill("SIGSTOP");
      resolve();
    });
    ended.then(({ stderr }) => reject(new Error(`ended before it was stopped: ${stderr}`)), reject);
  });
  return {
    pid: child.pid!,
    goOn() {
      child.kill("SIGCONT");
      return ended;
    },
  };
}

/** A second runner does not wait longer than it was told, and names the one that holds the lock. */
export async function stoppedHolder(
  box: Sandbox,
  subject: Subject,
  names: (pid: number) => RegExp,
): Promise<void> {
  const holder = await stopInTheMiddle(box, subject);
  const second = await box.run([...commandLine(subject, "up"), "--lock-wait", "1s"], { env: subject.env });
  expect(second.stderr).toMatch(names(holder.pid));
  expect(second.stderr).toMatch(/^Try: ./m);
  expect(second).toMatchObject({ code: 22, stdout: "" });
  // status asks nobody for the lock
  const status = await box.json("migrate status", ["migrate", "status", ...subject.target], {
    env: subject.env,
  });
  expect(status["engines"][0].applied).toBeGreaterThanOrEqual(10);
  const first = await holder.goOn();
  expect(first.code, first.stderr).toBe(0);
  await checkWhole(box, subject);
}
