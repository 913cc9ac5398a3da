import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { collect, ROOT, Sandbox } from "../support/cli.ts";

it("packs a tarball that runs from an empty prefix, shipped schemas included", async () => {
  const sandbox = new Sandbox();
  try {
    const npm = async (...args: string[]) => {
      // npm's own home, so that its cache serves; scripts off: nothing of this package needs one
      const env = { ...process.env, OPSCTL_DB: sandbox.db };
      const ran = await collect(
        spawn("npm", [...args, "--ignore-scripts", "--prefer-offline"], { cwd: ROOT, env }),
      );
      expect({ args, code: ran.code, stderr: ran.stderr }).toMatchObject({ code: 0 });
      return ran.stdout;
    };
    const [{ filename, files }] = JSON.parse(await npm("pack", "--json", "--pack-destination", sandbox.dir));
    const names: string[] = files.map(({ path }: { path: string }) => path);
    expect(names.filter((name) => name.startsWith("init/")).length).toBeGreaterThanOrEqual(5);
    expect(names.filter((name) => /^(src|test|scripts|node_modules)\//.test(name))).toEqual([]);

    const prefix = join(sandbox.dir, "prefix");
    await npm("install", "--prefix", prefix, "--omit", "dev", join(sandbox.dir, filename));
    expect(readdirSync(join(prefix, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(
      expect.arrayContaining(["better-sqlite3", "opsctl"]),
    );
    const opsctl = join(prefix, "node_modules", ".bin", "opsctl");
    const run = (...args: string[]) => collect(spawn(opsctl, args, { cwd: sandbox.cwd, env: sandbox.env() }));
    expect(await run("remember", "issue:packed", "it works")).toMatchObject({ code: 0, stderr: "" });
    const recalled = await run("recall", "packed", "--json");
    expect(JSON.parse(recalled.stdout)).toMatchObject({ count: 1 });
    expect(await run("init", "sqlite")).toMatchObject({ code: 0, stderr: "" });
    expect((await run("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  } finally {
    sandbox.remove();
  }
});
