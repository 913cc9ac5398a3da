import { textBelow } from "../../../health/doctor/kernel.ts";
import { type RedisCheck, requireLocal, settingsOf } from "./facts.ts";

const FILE = "/sys/kernel/mm/transparent_hugepage/enabled";

export const hugepages: RedisCheck = {
  id: "redis-hugepages",
  area: "redis",
  title: "transparent huge pages slow snapshots down",
  looks: `${FILE}; CONFIG GET disable-thp`,
  async run(call, scope) {
    requireLocal(scope);
    const modes = await textBelow(scope.root, FILE);
    if (!modes?.includes("[always]")) return [];
    // since 6.2 the server takes itself out
    const [disabled] = await settingsOf(call, scope, "disable-thp");
    if (disabled === "yes") return [];
    return [
      {
        severity: "info",
        subject: FILE,
        evidence: `${modes.trim()}; disable-thp ${disabled ?? "unknown"}`,
        cause: "After the fork of a snapshot every small write copies 2 MiB: latency and memory jump.",
        remedies: [{ argv: ["sh", "-c", `echo madvise > ${FILE}`], safe: false }],
        advice: "to keep it: transparent_hugepage=madvise on the kernel's command line; then restart Redis",
      },
    ];
  },
};
