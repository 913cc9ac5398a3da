import { styleText } from "node:util";
import type { LogLevel } from "../call.ts";
import { escapeText } from "./escape.ts";

export type Style = "red" | "green" | "yellow" | "dim" | "bold" | "cyan";

/** The streams of one process. Data goes to stdout, everything else to stderr. */
export interface Io {
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Writes data and waits while the reader is slower. */
  out(text: string): Promise<void>;
  /** Writes a line for humans. */
  note(text: string): void;
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
  return {
    stdoutIsTty: stdout.isTTY === true,
    stderrIsTty: stderr.isTTY === true,
    columns: stdout.isTTY ? stdout.columns : undefined,
    async out(text) {
      // after EPIPE the stream is destroyed: nobody reads, and the command is being aborted
      if (stdout.destroyed || stdout.write(text)) return;
      await new Promise<void>((resolve) => {
        stdout.once("drain", resolve);
        stdout.once("close", resolve);
      });
    },
    note(text) {
      if (!quiet) stderr.write(`${escapeText(redact(text))}\n`);
    },
    style(style, text, stream = "stdout") {
      if (!color) return text;
      return styleText(style, text, { stream: stream === "stdout" ? stdout : stderr, validateStream: true });
    },
    log(level, message, fields = {}) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(logLevel)) return;
      const line = { time: new Date().toISOString(), level, message, ...fields };
      stderr.write(`${redact(JSON.stringify(line))}\n`);
    },
  };
}
