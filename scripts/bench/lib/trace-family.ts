/** Stack traces and logs as programs of many kinds write them. `{name}` stands for a value that is drawn anew each time (traces.ts). */
export interface TraceFamily {
  name: string;
  /** Lines of an ordinary day, written around an error. */
  log: string[];
  /** Lines of each error; `@` stands for the frames. The first is the one that is remembered with its fix, the others are what looks like it. */
  errors: string[][];
  /** Frames that all of its errors share. */
  frames: string[];
  /** A word of the first error's message and words that would make it another error. */
  twin: [string, ...string[]];
}

const text = (block: string) => block.split("\n").filter((line) => line.trim() !== "");
/** Log, frames and errors with one line each; blank lines are left out. */
export const family = (
  name: string,
  twin: TraceFamily["twin"],
  log: string,
  frames: string,
  ...errors: string[]
): TraceFamily => ({ name, twin, log: text(log), frames: text(frames), errors: errors.map(text) });
