import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { currentReadme } from "../../scripts/docs.ts";
import { ROOT, Sandbox } from "../support/cli.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");

describe("README", () => {
  it("has the usage, settings, exit codes and JSON shapes of this code (else: npm run docs)", async () => {
    expect(await currentReadme(README)).toBe(README);
  });

  const tours = [...README.matchAll(/<!-- tour -->\n```sh\n([\s\S]*?)```/g)].map(([, tour]) =>
    tour!.trim().split("\n"),
  );

  it("shows tours", () => {
    expect(tours.map((commands) => commands.length > 7)).toEqual([true, true, true, true, true]);
  });

  it.each(tours)("shows a tour whose every command works: %s …", async (...commands) => {
    const sandbox = new Sandbox();
    try {
      cpSync(join(ROOT, "examples"), join(sandbox.cwd, "examples"), { recursive: true });
      for (const command of commands) {
        const { code, stderr } = await sandbox.shell(command);
        // a host whose disk is nearly full is "degraded": that is no fault of the tour
        const allowed = command.includes(" health") ? [0, 3] : [0];
        expect({ command, ok: allowed.includes(code ?? -1), stderr }).toMatchObject({ command, ok: true });
      }
    } finally {
      sandbox.remove();
    }
  });
});
