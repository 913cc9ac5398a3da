import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Unknowable } from "../../../health/doctor/check.ts";
import type { SqliteCheck } from "./look.ts";

/** File systems of other hosts, where locks and shared memory do not hold what SQLite expects (https://sqlite.org/useovernet.html). */
const NETWORK =
  /^(nfs4?|cifs|smb3|smbfs|afs|ceph|glusterfs|lustre|9p|ncpfs|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph|cephfs))$/;

/** A database that another host may change behind SQLite's back. */
export const network: SqliteCheck = {
  id: "sqlite-network",
  area: "sqlite",
  title: "the SQLite file is on a network file system",
  looks: "/proc/self/mounts",
  async run(_call, { connection, root, target }) {
    const mount = mountOf(connection.path, await mountsIn(root));
    if (!mount || !NETWORK.test(mount.type)) return [];
    return [
      {
        severity: "warning",
        subject: target.shown,
        evidence: `${mount.folder} is mounted as ${mount.type}`,
        cause:
          "A write-ahead log needs memory that all its users share, and locks that are kept: over a network two hosts can damage the file.",
        remedies: [],
        advice:
          "put it on a local disk, name it with OPSCTL_DB, and move the file there while no opsctl runs (with its -wal)",
      },
    ];
  },
};

interface Mount {
  folder: string;
  type: string;
}

async function mountsIn(root: string): Promise<Mount[]> {
  const path = join(root, "proc/self/mounts");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Unknowable(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return text.split("\n").flatMap((line) => {
    const [, folder, type] = line.split(" ");
    return folder && type ? [{ folder: unescaped(folder), type }] : [];
  });
}

/** The kernel writes spaces and the like as octal numbers (fstab(5)). */
function unescaped(folder: string): string {
  return folder.replaceAll(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 8)),
  );
}

/** The one of the longest folder; of two on one folder the later, which covers the other. */
function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const folder = `${dirname(path)}/`;
  return mounts
    .filter((mount) => folder.startsWith(mount.folder.endsWith("/") ? mount.folder : `${mount.folder}/`))
    .reduce<Mount | undefined>(
      (best, mount) => (best && best.folder.length > mount.folder.length ? best : mount),
      undefined,
    );
}
