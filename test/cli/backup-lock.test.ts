/** Two runs at once. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { archivesIn, backupsOf, leftoversIn, makeSqlite, problemsIn } from "../support/backup.ts";
import { collect, Sandbox, until } from "../support/cli.ts";

const box = new Sandbox();
const folder = backupsOf(box);
let args: string[];

beforeAll(async () => {
  args = ["backup", "sqlite", "--sqlite", makeSqlite(join(box.dir, "app.db"), 4_000_000)];
  await box.ok([...args, "--name", "earlier"]);
});
afterAll(() => box.remove());

test("the second one is refused and says who is at work; reading goes on; another folder is free", async () => {
  const first = box.start([...args, "--name", "first"]);
  const ended = collect(first);
  await until("the first run is at work", () => leftoversIn(folder).length > 0);
  first.kill("SIGSTOP");
  try {
    const refused = await Promise.all([
      box.run([...args, "--name", "second"]),
      box.run(["cleanup", "--keep-last", "1"]),
    ]);
    for (const { code, stderr } of refused) {
      expect(code, stderr).toBe(22);
      expect(stderr).toContain(String(first.pid));
      expect(stderr).toMatch(/^Try: ./m);
    }
    // what is at work is neither swept nor seen
    expect(leftoversIn(folder)).toHaveLength(1);
    expect(archivesIn(folder)).toEqual(["earlier.tar.gz"]);
    const [listed, verified, elsewhere] = await Promise.all([
      box.run(["backup", "list"]),
      box.run(["backup", "verify", "earlier"]),
      box.run(args, { env: { OPSCTL_BACKUPS: "elsewhere" } }),
    ]);
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^earlier\t[^\n]*\n$/) });
    expect(verified, verified.stderr).toMatchObject({ code: 0 });
    expect(elsewhere, elsewhere.stderr).toMatchObject({ code: 0 });
  } finally {
    first.kill("SIGCONT");
  }
  const ran = await ended;
  expect(ran.code, ran.stderr).toBe(0);
  expect(archivesIn(folder)).toEqual(["earlier.tar.gz", "first.tar.gz"]);
  expect(leftoversIn(folder)).toEqual([]);
  expect(await problemsIn(folder)).toEqual([]);
});

test("of eight at once each is done or refused", async () => {
  const runs = Array.from({ length: 8 }, (_, n) => box.run([...args, "--name", `of-eight-${n}`]));
  const codes = (await Promise.all(runs)).map(({ code }) => code);
  expect(codes.every((code) => code === 0 || code === 22)).toBe(true);
  const done = codes.filter((code) => code === 0).length;
  expect(done).toBeGreaterThan(0);
  expect(archivesIn(folder).filter((name) => name.startsWith("of-eight"))).toHaveLength(done);
  expect(await problemsIn(folder)).toEqual([]);
});
