import type { Progress } from "../call.ts";

const INTERVAL_MS = 100;

/** One line on stderr that is rewritten while something runs; silent unless stderr is a terminal and this is no CI. */
export function createProgress(enabled: boolean): { update(event: Progress): void; clear(): void } {
  let shownAt = 0;
  let shown = false;
  let startedAt: number | undefined;
  return {
    update({ label, done, total, unit }) {
      if (!enabled) return;
      const now = performance.now();
      startedAt ??= now;
      if (now - shownAt < INTERVAL_MS) return;
      shownAt = now;
      shown = true;
      const rate = Math.round((done * 1000) / Math.max(1, now - startedAt));
      const part = total ? ` of ${total} (${Math.floor((100 * done) / total)} %)` : "";
      process.stderr.write(`\r\u001b[2K${label}: ${done}${part} ${unit}, ${rate}/s`);
    },
    clear() {
      if (shown) process.stderr.write("\r\u001b[2K");
      shown = false;
    },
  };
}
