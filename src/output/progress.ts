import type { Progress } from "../call.ts";
import { bytes } from "./human.ts";

const INTERVAL_MS = 100;
const BAR_WIDTH = 24;
/** After so long without news the line says what is waited for. */
const PATIENCE_MS = 2_000;

/** One line on stderr that is rewritten while something runs; silent unless stderr is a terminal and this is no CI. */
export function createProgress(enabled: boolean): { update(event: Progress): void; clear(): void } {
  let shownAt = 0;
  let shown = false;
  let last: { event: Progress; at: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const startedAt = performance.now();
  const show = (line: string) => {
    shownAt = performance.now();
    shown = true;
    process.stderr.write(`\r\u001b[2K${line}`);
  };
  // a statement that takes its time sends nothing: the line says for how long
  const tick = () => {
    if (!last) return;
    const waitedMs = performance.now() - last.at;
    if (waitedMs >= PATIENCE_MS) show(waitingLine(last.event, waitedMs));
  };
  return {
    update(event) {
      if (!enabled) return;
      const now = performance.now();
      last = { event, at: now };
      timer ??= setInterval(tick, 1_000).unref();
      if (now - shownAt >= INTERVAL_MS) show(progressLine(event, now - startedAt));
    },
    clear() {
      clearInterval(timer);
      timer = undefined;
      last = undefined;
      if (shown) process.stderr.write("\r\u001b[2K");
      shown = false;
    },
  };
}

/** `V004-big-up.sql: statement 2 of 5, 8 s` */
export function waitingLine({ label, done, total, unit }: Progress, waitedMs: number): string {
  const seconds = `${Math.round(waitedMs / 1000)} s`;
  const isCounted = total !== undefined && (unit === "files" || unit === "statements");
  return isCounted
    ? `${label}: ${unit.slice(0, -1)} ${Math.min(done + 1, total)} of ${total}, ${seconds}`
    : `${label}, ${seconds}`;
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
