/** What Docker says of this host's containers (https://docs.docker.com/reference/cli/docker/). */
import type { Call } from "../../call.ts";
import type { EngineName } from "../../errors.ts";
import { Unknowable } from "./check.ts";
import { answerOf } from "./programs.ts";
import type { StackScope } from "./scope.ts";

/** What is asked of `docker ps`. */
export interface Container {
  ID: string;
  Names: string;
  Image: string;
  /** `running`, `exited`, `restarting`, `dead`, `created`, `paused` */
  State: string;
  /** `Up 2 hours (unhealthy)`, `Exited (137) 3 minutes ago` */
  Status: string;
  /** Of docker compose; empty: none. */
  Project: string;
}

/**
 * What `docker …` prints; undefined where there is no Docker, or none that answers.
 * @throws Unknowable where this user may not ask it
 */
export async function docker(
  call: Call,
  scope: StackScope,
  args: readonly string[],
  limitMs?: number,
): Promise<string | undefined> {
  const answer = await answerOf(call, scope, "docker", args, limitMs);
  if ("text" in answer) return answer.text;
  if (/permission denied/i.test(answer.error)) {
    throw new Unknowable("this user may not ask Docker", "run it as root, or as a user of the group docker");
  }
  return undefined;
}

/** Not `{{json .}}`: with the size of each container, which that has, it takes its time. */
const FORMAT = `{${["ID", "Names", "Image", "State", "Status"].map((name) => `"${name}":{{json .${name}}}`).join(",")},"Project":{{json (.Label "com.docker.compose.project")}}}`;

/** One JSON object a line, as `--format '{{json .}}'` prints them; lines that are none are left out. */
export function objectsIn<T>(text: string): T[] {
  return text.split("\n").flatMap((line) => {
    try {
      const parsed: unknown = JSON.parse(line);
      return typeof parsed === "object" && parsed !== null ? [parsed as T] : [];
    } catch {
      return [];
    }
  });
}

/** Containers of any state; empty without Docker. @throws Unknowable as `docker` */
export async function containers(call: Call, scope: StackScope): Promise<Container[]> {
  const said = await docker(call, scope, ["ps", "--all", "--no-trunc", "--format", FORMAT]);
  return objectsIn<Container>(said ?? "");
}

/** The engine of an image: `docker.io/pgvector/pgvector:pg16`, `redis:7@sha256:…`; undefined for others. */
export function engineOfImage(image: string): EngineName | undefined {
  const name = image.split("@")[0]!.split("/").at(-1)!.split(":")[0]!;
  if (/^neo4j(-enterprise)?$/.test(name)) return "neo4j";
  if (/^(postgres|postgresql|pgvector|postgis|timescaledb|timescaledb-ha)$/.test(name)) return "postgres";
  return /^(redis|redis-stack|redis-stack-server|valkey)$/.test(name) ? "redis" : undefined;
}
