/** Servers that are killed in the middle of a run and come back. */
import { expect } from "vitest";
import { collect, type Sandbox } from "../support/cli.ts";
import { commandLine, onLines, repair, type Tally } from "./migrate-kill.ts";
import type { Subject } from "./migrate-subject.ts";
import { checkTruth, checkWhole } from "./migrate-truth.ts";

export interface Killable {
  subject: Subject;
  /** SIGKILL. */
  kill(): void;
  /** On the same data and port. */
  restart(): Promise<void>;
}

/** A run whose server was killed: the lock's connection ended, nobody answers any more, or the last statement's outcome is unknown. */
const ENDINGS = [1, 20, 24];

/** Kills the server `kills` times within runs of `up`; in between the status is compared with the database. */
export async function killServer(
  box: Sandbox,
  { subject, kill, restart }: Killable,
  kills: number,
  random: () => number,
): Promise<Tally> {
  const tally: Tally = { kills: 0, broken: 0, repairs: 0, tookEffect: 0 };
  const reach = subject.files.length / (kills + 1);
  for (let runs = 0; tally.kills < kills; runs += 1) {
    expect(runs, "runs without a kill").toBeLessThan(5 * kills);
    const args = commandLine(subject, "up");
    const child = box.start(args, { env: { ...subject.env, OBS_AGENT_LOG_LEVEL: "INFO" } });
    let killed = false;
    onLines(child.stderr!, 1 + Math.floor(random() * reach), () => {
      kill();
      killed = true;
    });
    const ran = await collect(child);
    if (!killed) {
      await repair(box, subject, ran, tally);
      continue;
    }
    tally.kills += 1;
    expect(ENDINGS, ran.stderr).toContain(ran.code);
    expect(ran.stderr).toMatch(/^error: [\s\S]*127\.0\.0\.1[\s\S]*\nTry: ./m);
    await restart();
    tally.broken += (await checkTruth(box, subject)).broken;
  }
  for (;;) {
    const ran = await box.run(commandLine(subject, "up"), { env: subject.env });
    if (ran.code === 0) break;
    await repair(box, subject, ran, tally);
  }
  await checkWhole(box, subject);
  return tally;
}
