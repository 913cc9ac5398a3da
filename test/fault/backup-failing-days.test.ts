/** A database that is broken for a week: every run fails or is incomplete, and retention must not take what is good. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import { archivesIn, backupsOf, lastArchive, makeSqlite, sidecarOf } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";

const DAY_MS = 86_400_000;
const RETENTION = { RETENTION_DAYS: "3" };

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

/** Makes an archive as old as it would be: name and times of its sidecar. */
function date(archive: string, days: number): string {
  const shift = (time: string) => new Date(Date.parse(time) - days * DAY_MS).toISOString();
  const sidecar = sidecarOf(archive);
  const { metadata } = sidecar;
  const old = {
    ...metadata,
    started_at: shift(metadata.started_at),
    finished_at: shift(metadata.finished_at),
  };
  old.name = old.started_at.slice(0, 19).replace("T", "_").replaceAll(/[-:]/g, "");
  const path = join(dirname(archive), basename(archive).replace(metadata.name, old.name));
  if (sidecar.verified) sidecar.verified.at = shift(sidecar.verified.at);
  rmSync(sidecarPath(archive));
  renameSync(archive, path);
  writeFileSync(sidecarPath(path), JSON.stringify({ ...sidecar, file: basename(path), metadata: old }));
  return basename(path);
}

it("seven failing days keep the last good set, and the first good day after them replaces it", async () => {
  const folder = backupsOf(box);
  const broken = makeSqlite(join(box.dir, "app.db"), 200_000);
  const sound = makeSqlite(join(box.dir, "other.db"), 10_000);
  await box.ok(["backup", "sqlite", "--sqlite", broken, "--sqlite", sound]);
  const good = date(lastArchive(folder), 8);

  const whole = readFileSync(broken);
  writeFileSync(broken, Buffer.concat([whole.subarray(0, 4_096), Buffer.alloc(whole.length - 4_096, 0xff)]));
  const known = new Set([good]);
  for (let day = 7; day > 0; day -= 1) {
    // on some days there is something to save beside it
    const others = day % 2 === 0 ? [] : ["--sqlite", sound];
    const ran = await box.run(["backup", "sqlite", "--sqlite", broken, ...others], { env: RETENTION });
    expect(ran.code, ran.stderr).toBe(others.length > 0 ? 3 : 23);
    const today = archivesIn(folder).filter((name) => !known.has(name));
    expect(today).toHaveLength(others.length / 2);
    for (const name of today) known.add(date(join(folder, name), day));
    await box.ok(["cleanup"], { env: RETENTION });
    expect(archivesIn(folder)).toContain(good);
  }
  expect(await box.ok(["backup", "show", "latest"])).toContain(good.replace(".tar.gz", ""));
  expect(archivesIn(folder).length).toBeGreaterThan(1);

  writeFileSync(broken, whole);
  await box.ok(["backup", "sqlite", "--sqlite", broken, "--sqlite", sound], { env: RETENTION });
  expect(archivesIn(folder)).not.toContain(good);
  expect(sidecarOf(lastArchive(folder)).metadata.state).toBe("complete");
});
