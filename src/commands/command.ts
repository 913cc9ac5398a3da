import { isUtf8 } from "node:buffer";
import type { Command } from "commander";
import type { App } from "../app.ts";
import type { Call } from "../call.ts";
import { parseDuration, parseTime } from "../config/duration.ts";
import { type Degraded, type ErrorCode, OpsError, usageError } from "../errors.ts";
import type { Io } from "../output/io.ts";

export interface Globals {
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  config?: string;
  profile?: string;
  color: boolean;
  input: boolean;
  /** ms */
  timeout?: number;
}

/** What a command's action works with. */
export interface Context {
  app: App;
  call: Call;
  io: Io;
  globals: Globals;
  /** Takes the progress line away: something is printed, or asked, before the command ends. */
  clearProgress(): void;
}

/** What a command answers: one contract object, and how a person reads it. */
export interface Result<T = unknown> {
  data: T;
  render(io: Io): Promise<void> | void;
  /** Stores that could not answer: one line each on stderr, exit code 3 with `--strict`. */
  degraded?: readonly Degraded[];
  /** Exit code, when it is not 0. */
  code?: ErrorCode | undefined;
  /** A failure that comes after the answer: printed on stderr, its code wins. */
  failure?: OpsError | undefined;
}

export type Handler<O> = (context: Context, args: string[], options: O) => Promise<Result | undefined>;

/** Turns a handler into a commander action. */
export type Run = <O>(handler: Handler<O>) => (...args: unknown[]) => void;

/** One file a command: it adds arguments, options and subcommands to the command that `cli.ts` made for it. */
export interface CommandModule {
  define(command: Command, run: Run): void;
}

/** Parser of a whole number from `min` to `max` for `.option(…, integer("--limit", 1, 1000))`. */
export function integer(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      throw usageError(`${flag}: "${text}" is not a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** Parser of a duration; milliseconds. */
export const duration = (flag: string) => (text: string) => parseDuration(text, flag);

/** Parser of a point in time; milliseconds. */
export const time = (flag: string) => (text: string) => parseTime(text, flag, Date.now());

/** For an option that may be repeated. */
export const collect = (value: string, previous: string[] | undefined) => [...(previous ?? []), value];

export const STRICT = [
  "--strict",
  "exit with 3 when a store is missing or a write had to be queued",
] as const;

/** Asks before something is destroyed. Without a terminal (or with --no-input) only `--yes` goes on. */
export async function confirm(
  context: Context,
  yes: boolean | undefined,
  question: string,
  hint = "repeat with --yes, or --dry-run to look first",
): Promise<void> {
  if (yes) return;
  const interactive = context.globals.input && process.stdin.isTTY && process.stderr.isTTY;
  if (!interactive) throw usageError(`${question} needs a confirmation`, hint);
  const { ask } = await import("../output/prompt.ts");
  context.clearProgress();
  const answer = await ask(`${question}? [y/N] `, context.call.signal);
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new OpsError({ code: "failed", message: "not confirmed; nothing was changed" });
}

/** Text of an argument, or of stdin for `-`. */
export async function textOrStdin(
  call: Call,
  value: string,
  field: string,
  maxBytes: number,
  lenient = false,
): Promise<string> {
  if (value !== "-") return value;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin(call)) {
    size += chunk.length;
    if (size > maxBytes)
      throw usageError(`${field} from stdin is larger than ${maxBytes} bytes`, "shorten it");
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (!lenient && !isUtf8(bytes))
    throw usageError(`${field} from stdin is not valid UTF-8`, "convert it, for example with iconv");
  return bytes.toString("utf8");
}

/** Stdin, which a signal ends: a blocked read would keep the process. */
export function stdin(call: Call): NodeJS.ReadStream {
  call.signal.addEventListener("abort", () => process.stdin.destroy(), { once: true });
  return process.stdin;
}
