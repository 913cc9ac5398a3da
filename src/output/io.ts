import { styleText } from "node:util";
import type { LogLevel } from "../call.ts";
import { OpsError } from "../errors.ts";
import { escapeText } from "./escape.ts";

export type Style = "red" | "green" | "yellow" | "dim" | "bold" | "cyan";

/** The streams of one process. Data goes to stdout, everything else to stderr. */
export interface Io {
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Writes data and waits while the reader is slower. */
  out(text: string): Promise<void>;
  /** Writes a line for humans; the label stands before it, in colour where there is colour. */
  note(text: string, label?: string): void;
  /** Colours text where the stream shows colour (NO_COLOR, FORCE_COLOR, --no-color and TTYs are respected). */
  style(style: Style, text: string, stream?: "stdout" | "stderr"): string;
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void;
  /** Width of the terminal, or undefined when stdout is none. */
  readonly columns: number | undefined;
}

export interface IoOptions {
  color: boolean;
  quiet: boolean;
  logLevel: LogLevel;
  redact(text: string): string;
}

const LEVELS: readonly LogLevel[] = ["DEBUG", "INFO", "WARNING", "ERROR"];

export function createIo({ color, quiet, logLevel, redact }: IoOptions): Io {
  const { stdout, stderr } = process;
  // after EPIPE nobody reads; the stream itself comes back to life (process.stdout cannot be destroyed)
  let isGone = false;
  stdout.once("error", () => {
    isGone = true;
  });
  const style: Io["style"] = (name, text, stream = "stdout") =>
    color
      ? styleText(name, text, { stream: stream === "stdout" ? stdout : stderr, validateStream: true })
      : text;
  return {
    stdoutIsTty: stdout.isTTY === true,
    stderrIsTty: stderr.isTTY === true,
    columns: stdout.isTTY ? stdout.columns : undefined,
    async out(text) {
      if (isGone) return;
      await new Promise<void>((resolve, reject) => {
        stdout.write(text, (error) => {
          const { code } = (error ?? {}) as NodeJS.ErrnoException;
          if (!error || code === "EPIPE") resolve();
          else reject(new OpsError({ code: "failed", message: `stdout cannot be written (${code})` }));
        });
      });
    },
    note(text, label) {
      const start = label === undefined ? "" : `${style("yellow", label, "stderr")} `;
      if (!quiet) stderr.write(`${start}${escapeText(redact(text))}\n`);
    },
    style,
    log(level, message, fields = {}) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(logLevel)) return;
      const line = { time: new Date().toISOString(), level, message, ...fields };
      stderr.write(`${redact(JSON.stringify(line))}\n`);
    },
  };
}
