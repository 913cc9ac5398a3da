import type { EngineName } from "../../../errors.ts";
import type { Check, Found } from "../check.ts";
import { containers, docker, engineOfImage } from "../docker.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";

/** What `docker container inspect` says, as far as it is read. */
interface Inspected {
  Name: string;
  Config: { Image: string };
  Mounts: { Type: string; Name?: string; Destination: string }[];
}

/** Where the images keep their data; that of PostgreSQL 18 moved one folder up. */
const DATA: Readonly<Record<EngineName, string>> = {
  neo4j: "/data",
  postgres: "/var/lib/postgresql/data",
  redis: "/data",
  sqlite: "",
};
/** Docker's own name for a volume that has none. */
const ANONYMOUS = /^[0-9a-f]{64}$/;

export const dockerVolumes: Check<StackScope> = {
  id: "docker-volumes",
  area: "docker",
  title: "a database in a container does not keep its data",
  looks:
    "mounts in docker container inspect of running containers with images of neo4j, postgres, pgvector and redis",
  run: async (call, scope) => {
    const running = (await containers(call, scope)).filter(
      ({ Image, State }) => State === "running" && engineOfImage(Image) !== undefined,
    );
    if (running.length === 0) return [];
    const said = await docker(call, scope, ["container", "inspect", ...running.map(({ ID }) => ID)]);
    return said === undefined ? [] : (JSON.parse(said) as Inspected[]).flatMap(finding);
  },
};

function finding({ Name, Config, Mounts }: Inspected): Found[] {
  const engine = engineOfImage(Config.Image);
  if (engine === undefined) return [];
  const data = DATA[engine];
  const holds = ({ Destination }: { Destination: string }) =>
    data === Destination || data.startsWith(`${Destination}/`);
  // the innermost covers the others
  const mount = Mounts.filter(holds).sort((a, b) => b.Destination.length - a.Destination.length)[0];
  const isAnonymous = mount?.Type === "volume" && ANONYMOUS.test(mount.Name ?? "");
  if (mount !== undefined && mount.Type !== "tmpfs" && !isAnonymous) return [];
  const name = Name.replace(/^\//, "");
  return [
    {
      severity: isAnonymous ? "info" : "warning",
      subject: `container ${name}`,
      evidence: `${data} of ${TITLES[engine]} is ${isAnonymous ? "a volume without a name" : mount ? "in memory (tmpfs)" : "in the container itself"}`,
      cause: isAnonymous
        ? "docker compose down and docker rm -v lose it, and a new container does not find it again"
        : "it is gone with the container: docker compose down or an update of the image deletes all data",
      remedies: [],
      advice: `back it up (opsctl backup), mount a named volume (docker run --volume NAME:${data}, or volumes in the compose file), then restore`,
    },
  ];
}
