/** A sample of the campaign beside it, archives that took each other's place, and keys that do not fit. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leftoversIn } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { seeded } from "./kill-import.ts";
import { checkFound, cutOff, flipBits, live, makeTarget } from "./restore-damage.ts";

const SEED = 6;
const SAMPLES = [
  { container: "tar.gz", flips: 4, cuts: 1 },
  { container: "tar.zst", flips: 4, cuts: 1 },
  { container: "dir", flips: 2, cuts: 1 },
] as const;

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox({ shared: true });
});
afterEach(() => box.remove());

describe.each(SAMPLES)(`restore of a damaged $container, seed ${SEED}`, ({ container, flips, cuts }) => {
  it(`refuses ${flips} flipped bits and ${cuts} truncations, and leaves the data alone`, async () => {
    const target = await makeTarget(box, container);
    await flipBits(target, flips, seeded(SEED));
    await cutOff(target, cuts, seeded(SEED));
    // whole again, it is taken
    expect(await box.run(["restore", "victim", "--yes"])).toMatchObject({ code: 0 });
  }, 120_000);
});

it("refuses an archive in the place of another", async () => {
  await makeTarget(box, "tar.gz");
  const folder = join(box.cwd, "backups");
  await box.ok(["backup", "sqlite", "--name", "other"]);
  copyFileSync(join(folder, "other.tar.gz"), join(folder, "victim.tar.gz"));
  await checkFound(box, "another archive beside its sidecar");
});

it("says that a key is missing or wrong, and takes nothing out of the archive", async () => {
  const [right, wrong] = [await generateIdentity(), await generateIdentity()];
  await box.ok(["remember", "issue:disk full", "logs rotated"]);
  await box.ok(["backup", "sqlite", "--name", "secret", "--encrypt-to", await identityToRecipient(right)]);
  await box.ok(["remember", "issue:later", "nothing to be done"]);
  const before = await live(box);
  const restore = (identity?: string) =>
    box.run(["restore", "secret", "--yes"], { env: identity ? { OPSCTL_BACKUP_IDENTITY: identity } : {} });
  for (const [ran, code] of [
    [await restore(), 2],
    [await restore(wrong), 21],
  ] as const) {
    expect(ran.code, ran.stderr).toBe(code);
    expect(ran.stderr).toMatch(/^Try: .*OPSCTL_BACKUP_IDENTITY/m);
    expect(ran.stderr).not.toContain("AGE-SECRET-KEY-1");
    expect(await live(box)).toEqual(before);
    expect(leftoversIn(join(box.cwd, "backups"))).toEqual([]);
  }
  const ran = await restore(right);
  expect(ran.code, ran.stderr).toBe(0);
});
