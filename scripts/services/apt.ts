/** The few uses of apt that the installation needs. Mirrors and keys are those of the machine. */
import { existsSync } from "node:fs";
import { type Log, mustRun, onPath, type RunOptions, run, withRetries } from "./shell.ts";

/** Waits up to 5 minutes for another apt instead of failing at once. */
export const APT_OPTIONS = ["-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"];

const environment: RunOptions = {
  env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l", LC_ALL: "C.UTF-8" },
};

let updated = false;

/** Refreshes the package lists, once a process. */
export async function aptUpdate(log: Log): Promise<void> {
  if (updated) return;
  log("apt-get update");
  await withRetries("apt-get update", log, () => mustRun("apt-get", [...APT_OPTIONS, "update"], environment));
  updated = true;
}

/** Installs packages without what they only recommend. */
export async function aptInstall(packages: string[], log: Log): Promise<void> {
  await aptUpdate(log);
  log(`apt-get install ${packages.join(" ")}`);
  const args = [...APT_OPTIONS, "install", "--no-install-recommends", ...packages];
  await withRetries("apt-get install", log, () => mustRun("apt-get", args, environment));
}

/** Any other apt-get command, in `cwd`, with retries. */
export async function aptGet(args: string[], cwd: string, log: Log): Promise<void> {
  const all = [...APT_OPTIONS, ...args];
  await withRetries(`apt-get ${args.at(-1)}`, log, () => mustRun("apt-get", all, { ...environment, cwd }));
}

/** The first of the packages which the machine's sources offer. */
export async function firstAvailable(packages: string[]): Promise<string | undefined> {
  for (const name of packages) {
    if ((await run("apt-cache", ["show", "--no-all-versions", name], environment)).code === 0) return name;
  }
  return undefined;
}

/** The address of the Debian archive which this machine uses, or undefined when it is no Debian. */
export async function debianArchive(): Promise<string | undefined> {
  const format = "$(LABEL)\t$(REPO_URI)";
  const { stdout } = await run(
    "apt-get",
    ["indextargets", "--format", format, "Created-By: Packages"],
    environment,
  );
  const line = stdout.split("\n").find((text) => text.startsWith("Debian\t"));
  return line?.split("\t")[1];
}

/** Stops a service that a package started on its own: the tests bring their own servers. */
export async function stopPackagedService(name: string, log: Log): Promise<void> {
  const systemd = existsSync("/run/systemd/system");
  const [command, args] = systemd ? ["systemctl", ["disable", "--now", name]] : ["service", [name, "stop"]];
  if (!onPath(command)) return;
  log(`stopping the service ${name}, which its package started`);
  await run(command, args, { timeoutMs: 60_000 });
}
