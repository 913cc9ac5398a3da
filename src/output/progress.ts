import type { Progress } from "../call.ts";
import { bytes } from "./human.ts";

const INTERVAL_MS = 100;
const BAR_WIDTH = 24;

/** One line on stderr that is rewritten while something runs; silent unless stderr is a terminal and this is no CI. */
export function createProgress(enabled: boolean): { update(event: Progress): void; clear(): void } {
  let shownAt = 0;
  let shown = false;
  const startedAt = performance.now();
  return {
    update(event) {
      const now = performance.now();
      if (!enabled || now - shownAt < INTERVAL_MS) return;
      shownAt = now;
      shown = true;
      process.stderr.write(`\r\u001b[2K${progressLine(event, now - startedAt)}`);
    },
    clear() {
      if (shown) process.stderr.write("\r\u001b[2K");
      shown = false;
    },
  };
}

/** `importing ████░░░░ 51 %, 1.2 MiB/s`; without a total the count instead of the bar. */
function progressLine({ label, done, total, unit }: Progress, elapsedMs: number): string {
  const perSecond = Math.round((done * 1000) / Math.max(1, elapsedMs));
  const rate = unit === "bytes" ? `${bytes(perSecond)}/s` : `${perSecond} ${unit}/s`;
  if (!total) return `${label} ${unit === "bytes" ? bytes(done) : `${done} ${unit}`}, ${rate}`;
  const share = Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  return `${label} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} %, ${rate}`;
}
