import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { bounded } from "../../../bounded.ts";
import type { Check } from "../check.ts";
import { dataPaths } from "../data-paths.ts";
import type { StackScope } from "../scope.ts";

/** A lost network file system never answers. */
const LIMIT_MS = 2_000;

/** @param stat for tests: a file system without inodes cannot be had as a folder */
export function hostInodes(stat: typeof statfsOf = statfsOf): Check<StackScope> {
  return {
    id: "host-inodes",
    area: "host",
    title: "a disk with data or archives has hardly any inodes left",
    looks: "inodes in statfs of the same paths as host-disk",
    run: async (call, scope) => {
      const { thresholds } = scope;
      const read = await Promise.all(
        (await dataPaths(scope)).map(async ({ path, what }) => {
          const counts = await bounded(stat(join(scope.root, path)), LIMIT_MS, call.signal).catch(
            () => undefined,
          );
          return { path, what, total: counts?.files ?? 0, free: counts?.ffree ?? 0 };
        }),
      );
      // file systems that make inodes as they need them count none
      return read
        .filter(({ total, free }) => total > 0 && ((total - free) / total) * 100 >= thresholds.inodes_warning)
        .map(({ path, what, total, free }) => ({
          severity: free === 0 ? ("error" as const) : ("warning" as const),
          subject: path,
          evidence: `${total - free} of ${total} inodes in use (${(((total - free) / total) * 100).toFixed(1)} %) on the disk of ${what}`,
          cause:
            "without a free inode no file can be made, although there may be space: writes fail with `no space left on device`",
          remedies: [],
          advice: `find the folders with the most files: du -x --inodes --max-depth=3 ${path} | sort -n | tail -20, and delete what is not needed`,
        }));
    },
  };
}

/** Of a path; what does not exist yet has no counts. */
async function statfsOf(path: string): Promise<{ files: number; ffree: number }> {
  const { files, ffree } = await statfs(path);
  return { files, ffree };
}
