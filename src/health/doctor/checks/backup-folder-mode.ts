import { lstat } from "node:fs/promises";
import { basename } from "node:path";
import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { counted, some } from "../words.ts";

/** So many names fit into one command. */
const MOST = 50;

export const backupFolderMode: Check<StackScope> = {
  id: "backup-folder-mode",
  area: "backup",
  title: "others can read the archives",
  looks: "the modes of the archives and of their folder",
  async run(_call, scope) {
    const folder = scope.files.archives;
    const archives = await scope.archives();
    // a folder that only its owner may enter protects what is in it
    if (archives.length === 0 || ((await modeOf(folder)) & 0o011) === 0) return [];
    const open: { path: string; isFolder: boolean }[] = [];
    for (const { path, container, isMissing } of archives) {
      if (!isMissing && ((await modeOf(path)) & 0o044) !== 0)
        open.push({ path, isFolder: container === "dir" });
    }
    if (open.length === 0) return [];
    const change = (mode: string, isFolder: boolean) => {
      const paths = open.filter((one) => one.isFolder === isFolder).map(({ path }) => path);
      return paths.length === 0 ? [] : [{ argv: ["chmod", mode, ...paths.slice(0, MOST)], safe: true }];
    };
    return [
      {
        severity: "warning",
        subject: folder,
        evidence: `${counted(open.length, "archive")} can be read by others than their owner: ${some(open.map(({ path }) => basename(path)))}`,
        cause: "an archive holds everything that the databases hold: any user of this host may copy it",
        remedies: [...change("600", false), ...change("700", true)],
      },
    ];
  },
};

/** 0 where nothing can be seen. */
async function modeOf(path: string): Promise<number> {
  return lstat(path).then(
    ({ mode }) => mode & 0o777,
    () => 0,
  );
}
