import { bytes } from "../../../amounts.ts";
import { type HostOptions, readHost } from "../../host.ts";
import type { Check, Found } from "../check.ts";
import { type DataPath, dataPaths } from "../data-paths.ts";
import { type Mount, mountOfPath, mounts } from "../mounts.ts";
import type { StackScope } from "../scope.ts";

/** @param statfs for tests: a full disk cannot be had as a folder */
export function hostDisk(statfs?: HostOptions["statfs"]): Check<StackScope> {
  return {
    id: "host-disk",
    area: "host",
    title: "a disk with data or archives is nearly full",
    looks:
      "statfs of the data file, the state file, the archives and the data folders of servers on this host",
    run: async (_call, scope) => {
      const { root, thresholds } = scope;
      const paths = await dataPaths(scope);
      const { disks } = await readHost({ root, sampleMs: 0, paths: paths.map(({ path }) => path), statfs });
      const full = disks.flatMap((disk, at) =>
        disk.usage_percent !== null && disk.usage_percent >= thresholds.disk_warning
          ? [{ ...disk, usage_percent: disk.usage_percent, data: paths[at]! }]
          : [],
      );
      if (full.length === 0) return [];
      // without the list of mounts each path is a finding of its own
      const all = await mounts(root).catch((): Mount[] => []);
      const byPoint = new Map<string, typeof full>();
      for (const disk of full) {
        const point = (await mountOfPath(root, all, disk.path))?.point ?? disk.path;
        byPoint.set(point, [...(byPoint.get(point) ?? []), disk]);
      }
      return [...byPoint].map(([point, [disk, ...others]]) =>
        finding(
          point,
          disk!,
          [disk!, ...others].map(({ data }) => data),
          thresholds.disk_critical,
        ),
      );
    },
  };
}

function finding(
  point: string,
  disk: { usage_percent: number; total_bytes: number | null; free_bytes: number | null },
  data: readonly DataPath[],
  critical: number,
): Found {
  const holds = data.map(({ what, path }) => `${what} (${path})`).join(", ");
  const hasArchives = data.some(({ kind }) => kind === "archives");
  return {
    severity: disk.usage_percent >= critical ? "error" : "warning",
    subject: `disk ${point}`,
    evidence: `${disk.usage_percent} % of ${bytes(disk.total_bytes ?? 0)} in use, ${bytes(disk.free_bytes ?? 0)} free; it holds ${holds}`,
    cause: "when it is full, databases refuse writes or stop (Redis: MISCONF), and backups fail",
    remedies: hasArchives ? [{ argv: ["opsctl", "cleanup", "--only", "archives"], safe: false }] : [],
    advice: `see what is large: du -xh --max-depth=3 ${point} | sort -h | tail -20 (Docker: docker system df), then delete, move or enlarge the disk`,
  };
}
