import { numberBelow } from "../../../health/doctor/kernel.ts";
import { type RedisCheck, requireLocal, settingsOf } from "./facts.ts";

export const backlog: RedisCheck = {
  id: "redis-backlog",
  area: "redis",
  title: "kernel cuts the queue of new connections",
  looks: "CONFIG GET tcp-backlog against /proc/sys/net/core/somaxconn",
  async run(call, scope) {
    requireLocal(scope);
    const most = await numberBelow(scope.root, "proc/sys/net/core/somaxconn");
    const [backlog] = await settingsOf(call, scope, "tcp-backlog");
    if (most === undefined || backlog === undefined || Number(backlog) <= most) return [];
    return [
      {
        severity: "info",
        subject: "net.core.somaxconn",
        evidence: `it is ${most}, tcp-backlog of ${scope.connection.at} ${backlog}`,
        cause: "When many clients connect at once those beyond it wait or are refused.",
        remedies: [{ argv: ["sysctl", "-w", `net.core.somaxconn=${backlog}`], safe: false }],
        advice: `to keep it: net.core.somaxconn = ${backlog} in /etc/sysctl.d/redis.conf; then restart Redis`,
      },
    ];
  },
};
