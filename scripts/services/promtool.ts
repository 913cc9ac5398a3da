/** promtool, which checks metrics and alert rules in the tests: from Debian's package of Prometheus, without installing that. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { aptGet, aptUpdate } from "./apt.ts";
import { isRoot, type Log, mustRun } from "./shell.ts";
import { promtoolFile } from "./tools.ts";

/**
 * Downloads the package (19 MB) and takes the one program out of it: no service, no user, no dependencies, and no root where the package lists
 * are there. The caller holds the installation lock. The file appears at once and complete, by a rename.
 */
export async function installPromtool(log: Log): Promise<void> {
  if (isRoot()) await aptUpdate(log);
  log("downloading promtool, out of the package of Prometheus (19 MB)");
  const target = promtoolFile();
  const parent = dirname(target);
  mkdirSync(parent, { recursive: true });
  const prefix = `${basename(target)}.tmp-`;
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const work = mkdtempSync(join(parent, prefix));
  try {
    // apt's own user cannot write here: it would say so and go on, as we do
    await aptGet(["-o", "APT::Sandbox::User=", "download", "prometheus"], work, log);
    const [archive] = readdirSync(work).filter((name) => name.endsWith(".deb"));
    if (archive === undefined) throw new Error("apt-get download prometheus left no package");
    await mustRun("dpkg-deb", ["--extract", archive, "package"], { cwd: work });
    renameSync(join(work, "package", "usr", "bin", "promtool"), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
