/** Which version a new migration gets. */
import { type EngineName, OpsError } from "../errors.ts";
import { DIESEL_PER_SECOND } from "./formats/diesel.ts";
import type { Named } from "./formats/format.ts";
import { isDated } from "./formats/opsctl.ts";
import type { Format } from "./port.ts";

/** One way to number the versions of a folder. */
export interface Numbering {
  /** The number after the highest that is taken; 0: none is. */
  next(last: number): number;
  /** As it stands in a file's name. */
  versionOf(seq: number): string;
}

/** The numbering that a folder has; of an empty one what the format, or the engine's guide, begins with. */
export function numberingOf(
  format: Format,
  engine: EngineName,
  named: readonly Named[],
  now: Date,
): Numbering {
  const last = named.reduce<Named | undefined>(
    (a, b) => (a === undefined || b.seq > a.seq ? b : a),
    undefined,
  );
  if (format === "opsctl") {
    const dated = last ? isDated(last.version) : engine === "neo4j";
    return dated ? dates(now) : counter("V", last ? last.version.length - 1 : 3, 1);
  }
  const scale = format === "diesel" ? DIESEL_PER_SECOND : 1;
  const isCounted = last !== undefined && last.seq > 0 && !isStamp(Math.floor(last.seq / scale));
  return isCounted ? counter("", last.version.length, scale) : stamps(now, scale, format === "diesel");
}

function counter(prefix: string, width: number, scale: number): Numbering {
  return {
    next: (last) => (Math.floor(last / scale) + 1) * scale,
    versionOf: (seq) => prefix + String(seq / scale).padStart(width, "0"),
  };
}

/** `YYYY-MM-DD-NNN`, days in UTC. */
function dates(now: Date): Numbering {
  const today = Number(stampOf(now).slice(0, 8)) * 1000;
  return {
    next(last) {
      const seq = Math.max(last, today) + 1;
      if (seq % 1000 !== 0) return seq;
      throw new OpsError({
        code: "failed",
        message: "the folder has 999 versions of one day",
        hint: "put several changes into one file",
      });
    },
    versionOf: (seq) => String(seq).replace(/^(\d{4})(\d\d)(\d\d)(\d{3})$/, "$1-$2-$3-$4"),
  };
}

/** `YYYYMMDDhhmmss` in UTC, never before one that is there. */
function stamps(now: Date, scale: number, isDashed: boolean): Numbering {
  return {
    next(last) {
      const stamp = Math.floor(last / scale);
      const after = isStamp(stamp) ? new Date(timeOf(stamp).getTime() + 1000) : now;
      return Number(stampOf(after > now ? after : now)) * scale;
    },
    versionOf(seq) {
      const text = String(seq / scale);
      return isDashed ? text.replace(/^(\d{4})(\d\d)(\d\d)/, "$1-$2-$3-") : text;
    },
  };
}

function stampOf(date: Date): string {
  return date.toISOString().slice(0, 19).replace(/\D/g, "");
}

function timeOf(stamp: number): Date {
  const text = String(stamp).replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, "$1-$2-$3T$4:$5:$6Z");
  return new Date(text);
}

/** Whether a number is a time of this format. */
function isStamp(value: number): boolean {
  if (!/^(19|2\d)\d{12}$/.test(String(value))) return false;
  const time = timeOf(value);
  return !Number.isNaN(time.getTime()) && stampOf(time) === String(value);
}
