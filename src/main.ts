import { writeSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { abortError, createCall, type LogLevel } from "./call.ts";
import type { Context, Globals, Result } from "./commands/command.ts";
import { EXIT_CODES, OpsError, toOpsError } from "./errors.ts";
import { escapeText } from "./output/escape.ts";
import { TOOL_VERSION } from "./package.ts";

/** Nobody reads stdout any more (EPIPE): end quietly, with success. */
class ReaderGone extends Error {}

interface Process {
  abort: AbortController;
  globals: Globals;
  redact(text: string): string;
  context: Context | undefined;
  /** The command has ended and its outcome was reported. */
  isOver: boolean;
  /** Takes the progress line away before anything else is printed. */
  clearProgress(): void;
}

/**
 * Runs one command line and sets the process's exit code; the only place that maps an error to one. Never calls
 * process.exit(), which would cut what is still in the pipes.
 */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 1 && argv[0] === "--version" && writeAtOnce(`${TOOL_VERSION}\n`)) return;
  const state: Process = {
    abort: new AbortController(),
    globals: { color: true, input: true, json: argv.includes("--json"), verbose: argv.includes("-v") },
    redact: (text) => text,
    context: undefined,
    isOver: false,
    clearProgress: () => {},
  };
  handleSignals(state);
  handleClosedPipe(state);
  try {
    const { runCli } = await import("./cli.ts");
    await runCli(
      argv,
      (globals) => openContext(state, globals),
      (context, result, strict) => {
        state.clearProgress();
        return finish(context, result, strict);
      },
    );
  } catch (error) {
    state.clearProgress();
    const reason: unknown = state.abort.signal.aborted ? state.abort.signal.reason : error;
    if (!(reason instanceof ReaderGone)) reportError(state, reportable(error, reason));
  } finally {
    await state.context?.app.close();
    if (state.context) await record(argv, state.context);
    state.isOver = true;
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGTERM");
  }
}

/** Counts the command among the operations of this host. */
async function record(argv: readonly string[], { app }: Context): Promise<void> {
  const [{ commandName }, { recordOperation }] = await Promise.all([
    import("./arguments.ts"),
    import("./health/operations.ts"),
  ]);
  // what the context was opened for is the name of a command
  const duration_ms = Math.round(process.uptime() * 1000);
  recordOperation(app.stateFile, {
    at: Date.now() - duration_ms,
    command: commandName(argv)!,
    duration_ms,
    exit_code: Number(process.exitCode ?? 0),
  });
}

/** After a signal or the deadline many things fail: the reason counts, unless a command says what it means for its work. */
function reportable(error: unknown, reason: unknown): OpsError {
  if (reason === error) return toOpsError(error);
  const stopped = abortError(reason);
  return error instanceof OpsError && error.code === stopped.code && error.hint !== undefined
    ? error
    : stopped;
}

/** Without `process.stdout`, whose streams take a fifth of a bare start to load. False: nobody reads, or not now. */
function writeAtOnce(text: string): boolean {
  try {
    return writeSync(1, text) === text.length;
  } catch {
    return false;
  }
}

async function openContext(state: Process, globals: Globals): Promise<Context> {
  state.globals = globals;
  const [{ loadConfig }, { redactor }, { createIo }, { createProgress }, { App }] = await Promise.all([
    import("./config/load.ts"),
    import("./config/redact.ts"),
    import("./output/io.ts"),
    import("./output/progress.ts"),
    import("./app.ts"),
  ]);
  const signals = [state.abort.signal];
  if (globals.timeout !== undefined) signals.push(AbortSignal.timeout(globals.timeout));
  const config = await loadConfig(globals, process.env, process.cwd(), AbortSignal.any(signals));
  state.redact = redactor(config.secrets);
  const level = (config.text("OBS_AGENT_LOG_LEVEL")?.toUpperCase() ?? "WARNING") as LogLevel;
  const io = createIo({
    color: globals.color,
    quiet: globals.quiet === true,
    logLevel: globals.verbose ? "DEBUG" : globals.quiet ? "ERROR" : level,
    redact: state.redact,
  });
  const progress = createProgress(io.stderrIsTty && !process.env["CI"] && !globals.quiet);
  const call = createCall({
    actor: actorName(),
    timeoutMs: globals.timeout,
    signal: state.abort.signal,
    progress: (event) => progress.update(event),
    log: (levelOfLine, message, fields) => io.log(levelOfLine, message, fields),
  });
  // the deadline ends the command like a signal does
  call.signal.addEventListener("abort", () => state.abort.abort(abortError(call.signal.reason)), {
    once: true,
  });
  state.clearProgress = () => progress.clear();
  state.context = { app: new App(config, io), call, io, globals, clearProgress: state.clearProgress };
  return state.context;
}

/** Prints a result: one JSON object, or what a person reads; then what was missing. */
async function finish(context: Context, result: Result, strict: boolean): Promise<void> {
  const { io, globals } = context;
  if (globals.json) await io.out(`${JSON.stringify(result.data, null, io.stdoutIsTty ? 2 : undefined)}\n`);
  else await result.render(io);
  const degraded = result.degraded ?? [];
  for (const { engine, message } of degraded) {
    io.note(`${engine} is missing here: ${message}`, "warning:");
  }
  if (result.failure) throw result.failure;
  const code = result.code ?? (strict && degraded.length > 0 ? "partial" : undefined);
  if (code) process.exitCode = EXIT_CODES[code];
}

function reportError(state: Process, error: OpsError): void {
  const message = state.redact(error.message);
  const hint = error.hint === undefined ? null : state.redact(error.hint);
  if (state.globals.json) {
    const { code, engine = null, exitCode } = error;
    process.stderr.write(`${JSON.stringify({ code, message, hint, engine, exit_code: exitCode })}\n`);
  } else {
    process.stderr.write(
      `error: ${escapeText(message)}\n${hint === null ? "" : `Try: ${escapeText(hint)}\n`}`,
    );
    if (state.globals.verbose) process.stderr.write(`${state.redact(stackOf(error))}\n`);
  }
  process.exitCode = error.exitCode;
}

/** Stack lines only: the causes of driver errors may print values. */
function stackOf(error: OpsError): string {
  const frames = (stack: string | undefined) =>
    (stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const cause = error.cause instanceof Error ? ["caused by:", ...frames(error.cause.stack)] : [];
  return [...frames(error.stack), ...cause].join("\n");
}

/** First signal: say so, abort, let the command clean up. Second: end at once, as the signal would have. */
function handleSignals(state: Process): void {
  for (const [signal, code] of [
    ["SIGINT", "interrupted"],
    ["SIGTERM", "terminated"],
  ] as const) {
    let seen = false;
    const onSignal = () => {
      if (seen) {
        process.removeListener(signal, onSignal);
        process.kill(process.pid, signal);
        return;
      }
      seen = true;
      process.exitCode = EXIT_CODES[code];
      if (process.stderr.isTTY) {
        state.clearProgress();
        process.stderr.write(`${signal}: stopping; once more ends at once\n`);
      }
      state.abort.abort(new OpsError({ code, message: `ended by ${signal}` }));
    };
    process.on(signal, onSignal);
  }
}

function handleClosedPipe(state: Process): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") {
      state.abort.abort(new ReaderGone());
      return;
    }
    const failure = new OpsError({ code: "failed", message: `stdout cannot be written (${error.code})` });
    // help and version are written last: when their error arrives, nobody is left to report it
    if (state.isOver) reportError(state, failure);
    else state.abort.abort(failure);
  });
  process.stderr.on("error", () => {
    // there is no channel left to say that there is no channel left
  });
}

function actorName(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // a user id without a name, as in many containers
    return `${process.getuid?.() ?? "unknown"}@${hostname()}`;
  }
}
