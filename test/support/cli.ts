/** Runs the built program as a user does: its own process, a clean environment, a folder of its own for everything it writes. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { CONTRACTS } from "../../src/contract/index.ts";
import { runInOneProcess } from "./one-process.ts";

export const ROOT = join(import.meta.dirname, "..", "..");
export const BIN = join(ROOT, "bin", "opsctl.js");

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** Written to stdin, which is then closed; without it stdin is empty. */
  input?: string | Buffer;
  /** Flags of Node itself. */
  node?: string[];
  /** A process of its own, also in a sandbox that shares one. */
  alone?: boolean;
}

export class Sandbox {
  readonly dir = mkdtempSync(join(tmpdir(), "opsctl-cli-"));
  readonly db = join(this.dir, "data.db");
  readonly state = join(this.dir, "state.db");
  /** The working directory of every run. */
  readonly cwd = join(this.dir, "work");
  readonly #shared: boolean;

  /** `shared`: one process of the built program answers all of a test file's `run`, `ok` and `json`; what comes while it is busy gets its own. */
  constructor({ shared = false } = {}) {
    mkdirSync(this.cwd);
    this.#shared = shared;
  }

  /** Nothing of the environment that the tests run in but what a process needs to start. */
  env(extra: Record<string, string> = {}): Record<string, string> {
    const { PATH = "", TMPDIR = tmpdir() } = process.env;
    return { PATH, TMPDIR, HOME: this.dir, OPSCTL_DB: this.db, OPSCTL_STATE: this.state, ...extra };
  }

  /** Writes a file below the working directory and returns its path. */
  file(name: string, content: string | Buffer): string {
    const path = join(this.cwd, name);
    writeFileSync(path, content);
    return path;
  }

  start(args: readonly string[], { env, node = [] }: RunOptions = {}): ChildProcess {
    return spawn(process.execPath, [...node, BIN, ...args], { cwd: this.cwd, env: this.env(env) });
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    if (this.#shared && !options.alone && !options.node) {
      const input = Buffer.from(options.input ?? "");
      const ran = runInOneProcess({ args, cwd: this.cwd, env: this.env(options.env), input });
      if (ran) return ran;
    }
    const child = this.start(args, options);
    // a program that ends without reading its input is no failure of the test
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
    return collect(child);
  }

  /** A shell pipeline; `opsctl` in it is the built program. */
  shell(script: string, env: Record<string, string> = {}): Promise<Ran> {
    const prelude = `opsctl() { "${process.execPath}" "${BIN}" "$@"; }\nset -o pipefail\n`;
    return collect(spawn("bash", ["-c", prelude + script], { cwd: this.cwd, env: this.env(env) }));
  }

  /** Stdout of a command that must succeed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`opsctl ${args.join(" ")}: exit ${code}\n${stderr}`);
    return stdout;
  }

  /** The object a command prints with `--json`, checked against its contract; the exit code must be `code`. */
  async json(
    contract: string,
    args: readonly string[],
    options: RunOptions & { code?: number } = {},
    // biome-ignore lint/suspicious/noExplicitAny: its shape was just checked against the contract
  ): Promise<Record<string, any>> {
    const { code, stdout, stderr } = await this.run([...args, "--json"], options);
    if (code !== (options.code ?? 0)) throw new Error(`opsctl ${args.join(" ")}: exit ${code}\n${stderr}`);
    return conforming(contract, stdout) as Record<string, unknown>;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Parses one JSON object and checks that it has exactly the fields of its contract. */
export function conforming(contract: string, text: string): unknown {
  return v.parse(CONTRACTS[contract]!, JSON.parse(text));
}

/** Waits for a child's end and its output. */
export function collect(child: ChildProcess): Promise<Ran> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout?.on("data", (chunk) => chunks.stdout.push(chunk));
  child.stderr?.on("data", (chunk) => chunks.stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({
        code,
        signal,
        stdout: Buffer.concat(chunks.stdout).toString("utf8"),
        stderr: Buffer.concat(chunks.stderr).toString("utf8"),
      }),
    );
  });
}

/** Asks until the answer is true; fails after `seconds`. */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`after ${seconds} s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
