import type { Check, Found } from "../check.ts";
import { type DataPath, dataPaths } from "../data-paths.ts";
import { type Mount, mountOfPath, mounts } from "../mounts.ts";
import type { StackScope } from "../scope.ts";

/** Types whose locks and shared memory do not hold between hosts (https://sqlite.org/wal.html, https://sqlite.org/lockingv3.html). */
const NETWORK =
  /^(nfs\d?|cifs|smb\d?|smbfs|afs|ncpfs|ceph|glusterfs|lustre|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph.*))$/;

export const hostReadOnly: Check<StackScope> = {
  id: "host-read-only",
  area: "host",
  title: "data lies on a file system that is mounted read-only",
  looks: "/proc/mounts for the same paths as host-disk",
  run: (_call, scope) =>
    each(scope, (data, mount) => {
      if (!mount.isReadOnly) return [];
      return [
        {
          severity: data.kind === "archives" ? "warning" : "error",
          subject: data.path,
          evidence: `${data.what}: ${mount.point} (${mount.device}, ${mount.type}) is mounted read-only`,
          cause: "nothing can be written; a kernel that meets errors of a disk mounts it read-only",
          remedies: [{ argv: ["mount", "-o", "remount,rw", mount.point], safe: false }],
          advice: "look for errors of the disk before: dmesg | grep -iE 'error|remount'",
        },
      ];
    }),
};

export const hostNetworkFilesystem: Check<StackScope> = {
  id: "host-network-filesystem",
  area: "host",
  title: "a database lies on a network file system",
  looks: "types in /proc/mounts (nfs, cifs, …) for the same paths as host-disk",
  run: (_call, scope) =>
    each(scope, (data, mount) => {
      // archives are only written and read
      if (data.kind === "archives" || !NETWORK.test(mount.type)) return [];
      return [
        {
          severity: "warning",
          subject: data.path,
          evidence: `${data.what}: ${mount.point} is ${mount.type} (${mount.device})`,
          cause:
            data.kind === "sqlite"
              ? "a write-ahead log needs memory that all users of the file share, and locks over the network do not hold: two hosts can damage the file"
              : "a lost connection stops the server, and a write that the network lost can damage its data",
          remedies: [],
          advice:
            data.kind === "sqlite"
              ? "move the file to a local disk and set OPSCTL_DB or OPSCTL_STATE"
              : "move the data to a local disk or a block device",
        },
      ];
    }),
};

/** Findings for each path that has a mount. */
async function each(scope: StackScope, look: (data: DataPath, mount: Mount) => Found[]): Promise<Found[]> {
  const all = await mounts(scope.root);
  const found = await Promise.all(
    (await dataPaths(scope)).map(async (data) => {
      const mount = await mountOfPath(scope.root, all, data.path);
      return mount === undefined ? [] : look(data, mount);
    }),
  );
  return found.flat();
}
