/** What is asked of the Docker command line (https://docs.docker.com/reference/cli/docker/). */
import type { Readable } from "node:stream";
import { type Call, createCall } from "../call.ts";
import { readTool, startTool } from "../child.ts";
import { OpsError } from "../errors.ts";

const HINT = "is Docker here, and does it answer? try: docker info";
/** Where a volume is mounted in the container that it is read through. */
const MOUNT = "/opsctl-volume";
/** Marks those containers; its value is the folder that is copied into. */
const LABEL = "opsctl.migrate-volumes";
const REMOVE_MS = 10_000;

/** A container that has a volume mounted. */
export interface User {
  name: string;
  image: string;
  isRunning: boolean;
  /** It may write to the volume. */
  mayWrite: boolean;
}

interface Inspected {
  Name: string;
  /** Its digest: the tag may be another image's by now. */
  Image: string;
  State: { Running: boolean };
  Mounts: { Type: string; Name?: string; RW: boolean }[];
}

function docker(call: Call, args: readonly string[]): Promise<string> {
  return readTool(call, "docker", args, { hint: HINT, maxBytes: 16 << 20 });
}

async function lines(call: Call, args: readonly string[]): Promise<string[]> {
  return (await docker(call, args)).split("\n").filter((line) => line !== "");
}

/** Names of all volumes. */
export function volumeNames(call: Call): Promise<string[]> {
  return lines(call, ["volume", "ls", "--quiet"]);
}

/** Containers of any state that have a volume mounted. */
export async function usersOf(call: Call, volume: string): Promise<User[]> {
  // the filter also finds those that mount something else at a path of that name
  const ids = await lines(call, ["ps", "--all", "--quiet", "--no-trunc", "--filter", `volume=${volume}`]);
  if (ids.length === 0) return [];
  const containers = JSON.parse(await docker(call, ["container", "inspect", ...ids])) as Inspected[];
  return containers.flatMap(({ Name, Image, State, Mounts }) => {
    const mounts = Mounts.filter((mount) => mount.Type === "volume" && mount.Name === volume);
    if (mounts.length === 0) return [];
    return [
      {
        name: Name.replace(/^\//, ""),
        image: Image,
        isRunning: State.Running,
        mayWrite: mounts.some(({ RW }) => RW),
      },
    ];
  });
}

/** Some image that is on this host. @throws OpsError `usage` when there is none */
export async function anyImage(call: Call): Promise<string> {
  const [id] = await lines(call, ["image", "ls", "--quiet"]);
  if (id !== undefined) return id;
  throw new OpsError({
    code: "usage",
    message: "there is no image on this host: a volume is read through a container",
    hint: "pull a small one and name it: docker pull busybox, then --image busybox",
  });
}

/**
 * A container that has a volume mounted for reading, and never runs: so nothing of the image matters but that it is here. `docker cp` reads
 * through it.
 */
export async function makeReader(
  call: Call,
  { volume, image, folder }: { volume: string; image: string; folder: string },
): Promise<string> {
  const mount = `type=volume,source=${volume},target=${MOUNT},readonly,volume-nocopy`;
  const made = await docker(call, [
    "create",
    "--pull=never",
    "--network=none",
    `--label=${LABEL}=${folder}`,
    `--mount=${mount}`,
    image,
    "true",
  ]);
  return made.trim();
}

/** Removes a container that `makeReader` made, also when the call is over. */
export async function removeReader(id: string): Promise<void> {
  const call = createCall({ actor: "", signal: AbortSignal.timeout(REMOVE_MS) });
  await docker(call, ["rm", "--force", id]).catch(() => {
    // the next run finds it by its label
  });
}

/** Removes those that killed runs left. */
export async function removeReaders(call: Call, folder: string): Promise<number> {
  const ids = await lines(call, [
    "ps",
    "--all",
    "--quiet",
    "--no-trunc",
    "--filter",
    `label=${LABEL}=${folder}`,
  ]);
  if (ids.length > 0) await docker(call, ["rm", "--force", ...ids]);
  return ids.length;
}

/** Copies the content of the volume into a folder that is there. @param keepsOwners only root may */
export async function copyOut(call: Call, id: string, to: string, keepsOwners: boolean): Promise<void> {
  await docker(call, ["cp", ...(keepsOwners ? ["--archive"] : []), `${id}:${MOUNT}/.`, to]);
}

/** The content of the volume as an uncompressed tar. Read to its end, then `done` says whether that was all. */
export function streamOut(
  call: Call,
  id: string,
): { content: Readable; done: Promise<unknown>; kill(): void } {
  const { stdout, done, kill } = startTool(call, "docker", ["cp", `${id}:${MOUNT}/.`, "-"], { hint: HINT });
  return { content: stdout, done, kill };
}

/** The path of an entry of that tar in the volume; `.` is the volume itself. */
export function pathInVolume(entry: string): string {
  const parts = entry.split("/").filter((part) => part !== "" && part !== ".");
  // as the folder is called, where Docker does not call it `.`
  if (`/${parts[0]}` === MOUNT) parts.shift();
  return parts.join("/") || ".";
}
