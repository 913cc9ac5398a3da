/** The mounted file systems of the host. */
import { realpath } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Unknowable } from "./check.ts";
import { textBelow } from "./kernel.ts";

export interface Mount {
  /** `/dev/sda1`, `server:/export`. */
  device: string;
  /** Where it is mounted. */
  point: string;
  /** `ext4`, `nfs4`. */
  type: string;
  isReadOnly: boolean;
}

/**
 * The mounts of the host, in the order in which they were made. Below another root those of its first process: `self` there is whoever
 * reads, with the mounts of our own container.
 * @throws Unknowable where there is no such list
 */
export async function mounts(root: string): Promise<Mount[]> {
  const names = root === "/" ? ["self/mounts"] : ["1/mounts", "mounts"];
  for (const name of names) {
    const text = await textBelow(root, `proc/${name}`);
    if (text !== undefined) return text.split("\n").flatMap(mountOf);
  }
  throw new Unknowable(`${join(root, "proc", names.at(-1)!)} cannot be read`);
}

function mountOf(line: string): Mount[] {
  const [device, point, type, options] = line.split(" ");
  if (options === undefined) return [];
  return [
    {
      device: plain(device!),
      point: plain(point!),
      type: type!,
      isReadOnly: options.split(",").includes("ro"),
    },
  ];
}

/** Spaces and the like are octal there. */
function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount that a path is on, links followed. */
export async function mountOfPath(
  root: string,
  all: readonly Mount[],
  path: string,
): Promise<Mount | undefined> {
  const real = await resolved(root, path);
  const holds = ({ point }: Mount) => real === point || real.startsWith(point === "/" ? "/" : `${point}/`);
  // a later mount at the same point covers the earlier one
  return all
    .filter(holds)
    .reduce<Mount | undefined>(
      (best, one) => (best === undefined || one.point.length >= best.point.length ? one : best),
      undefined,
    );
}

/** A path with its links followed, as far as it exists. */
async function resolved(root: string, path: string): Promise<string> {
  const from = await realpath(root).catch(() => root);
  for (let at = path; ; at = dirname(at)) {
    try {
      const inside = relative(from, await realpath(join(root, at)));
      // an absolute link below another root leads out of it: then the path counts as it is written
      return inside.startsWith("..") ? path : join("/", inside, relative(at, path));
    } catch {
      if (dirname(at) === at) return path;
    }
  }
}
