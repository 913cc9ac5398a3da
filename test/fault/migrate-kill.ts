/** Kills of `migrate up` and `migrate down` at random points. */
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { collect, type Ran, type Sandbox } from "../support/cli.ts";
import type { Subject } from "./migrate-subject.ts";
import { checkTruth, checkWhole, type Doubt } from "./migrate-truth.ts";

export interface Tally {
  kills: number;
  /** Left a file in the middle, as history says. */
  broken: number;
  /** Needed the one manual step. */
  repairs: number;
  /** The statement in doubt had taken effect. */
  tookEffect: number;
}

export interface Campaign {
  box: Sandbox;
  make(): Promise<Subject>;
  random(): number;
  kills: number;
  /** A kill comes at most this long after the file that was chosen: about what one file takes; ms. */
  paceMs: number;
  /** Time from the start of the program to its first file; ms. */
  startMs: number;
  /** Default SIGKILL. */
  signal?: "SIGKILL" | "SIGTERM";
}

type Direction = "up" | "down";

/** Runs database after database up and down again, each run killed again and again, until `kills` are done. */
export async function killAtRandom(campaign: Campaign): Promise<Tally> {
  const tally: Tally = { kills: 0, broken: 0, repairs: 0, tookEffect: 0 };
  while (tally.kills < campaign.kills) {
    const subject = await campaign.make();
    try {
      await killOneWay(campaign, subject, "up", tally);
      await killOneWay(campaign, subject, "down", tally);
    } finally {
      await subject.drop();
    }
  }
  return tally;
}

async function killOneWay(
  campaign: Campaign,
  subject: Subject,
  direction: Direction,
  tally: Tally,
): Promise<void> {
  const { box, random, kills } = campaign;
  // a way up has about four kills, a way down about one
  const reach = subject.files.length * (direction === "up" ? 0.5 : 1.2);
  for (let runs = 0; ; runs += 1) {
    expect(runs, "runs of one way, without an end").toBeLessThan(200);
    const files = tally.kills < kills ? Math.floor(random() * reach) : Number.POSITIVE_INFINITY;
    const ran = await killedRun(campaign, subject, direction, files);
    if (ran.signal !== null || ran.code === 143) {
      tally.kills += 1;
      // once the lease is waited for as everybody would
      if (tally.kills > 1) await subject.expire?.();
      // the other half is met by the next run at once, while the server may not have noticed yet
      if (random() < 0.5) tally.broken += (await checkTruth(box, subject)).broken;
    } else if (ran.code === 0) break;
    else await repair(box, subject, ran, tally);
  }
  await checkWhole(box, subject, direction === "up" ? "applied" : "reverted");
}

/** One run, killed a random moment after its `files`-th file; it may end before. */
async function killedRun(
  { box, random, paceMs, startMs, signal = "SIGKILL" }: Campaign,
  subject: Subject,
  direction: Direction,
  files: number,
): Promise<Ran> {
  const args = commandLine(subject, direction);
  const child = box.start(args, { env: { ...subject.env, OBS_AGENT_LOG_LEVEL: "INFO" } });
  const ended = collect(child);
  if (files === 0) {
    await Promise.race([delay(random() * startMs), ended]);
    child.kill(signal);
  } else {
    onLines(child.stderr!, files, () => setTimeout(() => child.kill(signal), random() * paceMs));
  }
  return ended;
}

export function commandLine({ target }: Subject, direction: Direction): string[] {
  return ["migrate", direction, ...target, ...(direction === "down" ? ["--to", "0", "--yes"] : [])];
}

/** Calls `then` when a stream of a run has said that often that a file is done (log level INFO). */
export function onLines(stream: Readable, files: number, then: () => void): void {
  let seen = 0;
  stream.on("data", (chunk: Buffer) => {
    const before = seen;
    seen += chunk.toString().match(/: (applied|rolled back)"/g)?.length ?? 0;
    if (before < files && seen >= files) then();
  });
}

/** Runs the one manual step that a refused run names, as it is printed, chosen by what the database says. */
export async function repair(box: Sandbox, subject: Subject, ran: Ran, tally: Tally): Promise<void> {
  const { doubt } = await checkTruth(box, subject);
  expect([1, 24], ran.stderr).toContain(ran.code);
  expect(doubt, ran.stderr).toBeDefined();
  const command = chosenStep(ran.stderr, doubt!);
  const repaired = await box.shell(command, subject.env);
  expect(repaired.code, `${command}\n${repaired.stderr}`).toBe(0);
  tally.repairs += 1;
  if (doubt!.tookEffect) tally.tookEffect += 1;
}

/** `opsctl migrate repair …` of the hint; what took effect is left out, by the flag that the hint names. */
function chosenStep(stderr: string, { tookEffect }: Doubt): string {
  const hint = /^Try: (.*)$/m.exec(stderr)?.[1] ?? "";
  const command = /opsctl migrate repair .*?--retry.*?(?= runs it again)/.exec(hint)?.[0];
  const leaveOut = /--statement \d+/.exec(hint)?.[0];
  expect(command, stderr).toBeDefined();
  expect(leaveOut, stderr).toBeDefined();
  return tookEffect ? `${command} ${leaveOut}` : command!;
}
