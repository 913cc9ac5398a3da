import type { Call } from "../../../call.ts";
import { redactor } from "../../../config/redact.ts";
import type { Check, Found } from "../check.ts";
import { type Container, containers, docker, engineOfImage } from "../docker.ts";
import type { StackScope } from "../scope.ts";

/** Of the last line of a log. */
const SHOWN_CHARS = 200;
/** Ended by SIGINT or SIGTERM: somebody stopped it. */
const STOPPED = [130, 143];

interface Trouble {
  what: "restarting" | "dead" | "unhealthy" | "exited";
  code: number | undefined;
}

export const dockerContainers: Check<StackScope> = {
  id: "docker-containers",
  area: "docker",
  title: "a container of the stack does not run as it should",
  looks:
    "docker ps --all: containers with images of neo4j, postgres, pgvector and redis, and those of their compose projects",
  run: async (call, scope) => {
    const all = await containers(call, scope);
    const databases = all.filter(({ Image }) => engineOfImage(Image) !== undefined);
    const projects = new Set(databases.map(({ Project }) => Project).filter((project) => project !== ""));
    const ours = all.filter((one) => databases.includes(one) || projects.has(one.Project));
    const found = await Promise.all(
      ours.map(async (one) => {
        const trouble = troubleOf(one);
        return trouble === undefined ? [] : [await finding(call, scope, one, trouble)];
      }),
    );
    return found.flat();
  },
};

function troubleOf({ State, Status }: Container): Trouble | undefined {
  const exited = /\((\d+)\)/.exec(Status)?.[1];
  const code = exited === undefined ? undefined : Number(exited);
  if (State === "restarting" || State === "dead") return { what: State, code };
  if (State === "running" && Status.includes("(unhealthy)")) return { what: "unhealthy", code: undefined };
  const isFailed = State === "exited" && code !== undefined && code !== 0 && !STOPPED.includes(code);
  return isFailed ? { what: "exited", code } : undefined;
}

async function finding(
  call: Call,
  scope: StackScope,
  one: Container,
  { what, code }: Trouble,
): Promise<Found> {
  const isDatabase = engineOfImage(one.Image) !== undefined;
  const line = await lastLine(call, scope, one);
  return {
    // one that has stopped may have been left behind; one that keeps failing is wanted
    severity: isDatabase && what !== "exited" ? "error" : "warning",
    subject: `container ${one.Names}`,
    evidence: `${one.Image}: ${one.Status}${line && `; its log ends with: ${line}`}`,
    cause: causeOf(what, code),
    remedies: [{ argv: ["docker", what === "unhealthy" ? "restart" : "start", one.Names], safe: false }],
    advice: `see why: docker logs --tail 50 ${one.Names}; and whether the disk is full: docker system df`,
  };
}

function causeOf(what: Trouble["what"], code: number | undefined): string {
  if (what === "unhealthy") return "its health check fails: it runs, and does not answer as it should";
  if (code === 137) return "it was killed: mostly because it wanted more memory than it may have";
  if (code === 127 || code === 126) return "its command cannot be run";
  if (what === "restarting") return "it ends as soon as it is started, and Docker starts it again and again";
  return "it has ended with an error, and nothing starts it again";
}

/** Of its output, without secrets; empty when there is none. What it wrote to stderr is seen with `docker logs` only. */
async function lastLine(call: Call, scope: StackScope, { ID }: Container): Promise<string> {
  const said = (await docker(call, scope, ["logs", "--tail", "5", ID])) ?? "";
  const line = said
    .trim()
    .split("\n")
    .at(-1)!
    .replace(/[\p{Cc}\p{Cf}]/gu, " ")
    .trim();
  return redactor(scope.secrets.map(({ value }) => value).filter((value) => value.length >= 4))(line).slice(
    0,
    SHOWN_CHARS,
  );
}
