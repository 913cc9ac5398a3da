import { Unknowable } from "../../../health/doctor/check.ts";
import { infoOf, type RedisCheck } from "./facts.ts";

/** The oldest that is still maintained, by redis.io/docs/latest/operate/oss_and_stack (6.2 was the last long-term 6). */
const OLDEST = [6, 2] as const;

export const version: RedisCheck = {
  id: "redis-version",
  area: "redis",
  title: "version without maintenance",
  looks: "INFO server: redis_version",
  async run(call, scope) {
    const { redis_version: found } = await infoOf(call, scope);
    if (found === undefined) throw new Unknowable(`Redis at ${scope.connection.at} tells no version`);
    if (!isOutdated(found)) return [];
    return [
      {
        severity: "info",
        subject: `Redis ${found} at ${scope.connection.at}`,
        evidence: `it is older than ${OLDEST.join(".")}`,
        cause: "Holes that were found since are not closed in it.",
        remedies: [],
        advice: "opsctl backup redis, then install Redis 7 or newer; it reads the old files",
      },
    ];
  },
};

/** Whether a version gets no more fixes. */
export function isOutdated(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}
