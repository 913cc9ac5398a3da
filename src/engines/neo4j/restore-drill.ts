/** Drills of Neo4j: into a scratch server that holds nothing else, or, without one, by reading the files to their end. */
import { differences } from "../../backup/counts.ts";
import { type Call, createCall } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { toOpsError } from "../../errors.ts";
import type { Drilled, Found, RestoreTask } from "../../restore/port.ts";
import { connectNeo4j, type Neo4jConnection } from "./connect.ts";
import { failure } from "./errors.ts";
import { described, isEmpty } from "./restore-wipe.ts";

/** What a drill may take for cleaning up after it was interrupted. */
const CLEANING_MS = 60_000;
type Amounts = RestoreTask["expected"];

export async function neo4jDrill(
  call: Call,
  task: RestoreTask,
  target: Target | undefined,
  limits: Limits,
  live: Target | undefined,
): Promise<Drilled> {
  const isGraph = task.files.some(({ kind }) => kind === "neo4j-ndjson" || kind === "neo4j-cypher");
  try {
    return target && isGraph ? await loaded(call, task, target, limits, live) : await read(call, task);
  } catch (error) {
    const known = toOpsError(error);
    if (known.code !== "integrity") throw error;
    // what is wrong with the files is what a drill is for
    return { counts: {}, breakdown: {}, problems: [known.message], notes: [], loaded: false, where: "here" };
  }
}

/** Everything that can be known without a server. */
async function read(call: Call, task: RestoreTask): Promise<Drilled> {
  const { amountsOf } = await import("./restore-graph.ts");
  const { readHead } = await import("./restore-lines.ts");
  const { rulesOf } = await import("./restore-schema.ts");
  const found: Amounts = { counts: {}, breakdown: {} };
  const notes = new Set<string>();
  for (const file of task.files) {
    const amounts = await amountsOf(call, file, task.work);
    Object.assign(found, {
      counts: { ...found.counts, ...amounts.counts },
      breakdown: { ...found.breakdown, ...amounts.breakdown },
    });
    if (file.kind === "neo4j-ndjson") rulesOf(file, await readHead(call, file));
    notes.add(NOT_LOADED[file.kind] ?? "");
  }
  notes.delete("");
  return {
    counts: { ...found.counts },
    breakdown: { ...found.breakdown },
    problems: problemsOf(found, task),
    notes: [...notes],
    loaded: false,
    where: "read to the end here",
  };
}

/** A host has several names: the database says which one it is. A live server that does not answer is asked nothing. */
async function requireOther(
  call: Call,
  scratch: Neo4jConnection,
  live: Target,
  limits: Limits,
): Promise<void> {
  const other = connectNeo4j(live, limits);
  const idOf = async (connection: Neo4jConnection) =>
    (await connection.read<{ id: string }>(call, "CALL db.info() YIELD id RETURN id"))[0]?.id;
  try {
    const id = await idOf(other).catch(() => undefined);
    if (id === undefined || id !== (await idOf(scratch))) return;
  } finally {
    await other.close();
  }
  throw failure(
    "usage",
    scratch.place,
    "is the live server: a drill would delete everything that is in it",
    "name a server of its own in DRILL_NEO4J_URI",
  );
}

const NOT_LOADED: Readonly<Record<string, string>> = {
  "neo4j-ndjson":
    "not loaded into a server: nodes, end points and schema were rebuilt from the file; DRILL_NEO4J_URI names a scratch server",
  "neo4j-cypher": "not loaded into a server: of a script only its end and its counts were looked at",
  "neo4j-dump": "not loaded into a server: only neo4j-admin can read a dump, and only its head was looked at",
};

/** Into a server that holds nothing but what an earlier drill left, and nothing afterwards. */
async function loaded(
  call: Call,
  task: RestoreTask,
  target: Target,
  limits: Limits,
  live: Target | undefined,
): Promise<Drilled> {
  const { boltPart } = await import("./restore.ts");
  const part = await boltPart(task, { target, limits }, true);
  const { graph } = part;
  const where = `the scratch server ${target.shown}`;
  try {
    if (live) await requireOther(call, graph.connection, live, limits);
    const { content, marker } = await graph.look(call);
    if (marker?.phase !== "drill" && (marker || !isEmpty(content))) {
      const what = marker ? "a restore that is not at its end" : described(content);
      throw failure(
        "usage",
        graph.connection.place,
        `is no scratch server for drills: it holds ${what}`,
        "name an empty one in DRILL_NEO4J_URI; a drill deletes everything that is in it",
      );
    }
    // for as long as it is there, everything beside it is a drill's
    await graph.mark(call, "drill");
    try {
      return { ...(await outcome(call, part)), loaded: true, where };
    } finally {
      await cleaned(call, graph);
    }
  } finally {
    await part.close();
  }
}

type Part = Awaited<ReturnType<typeof import("./restore.ts").boltPart>>;

async function outcome(call: Call, part: Part): Promise<Found> {
  try {
    await part.drill(call);
    return await part.verify(call);
  } catch (error) {
    const known = toOpsError(error);
    // what the scratch server cannot do says nothing of the files
    if (known.code !== "integrity" || call.signal.aborted) throw error;
    return { counts: {}, breakdown: {}, problems: [known.message], notes: [] };
  }
}

/** Also after an interruption, as far as the time for it goes; the mark stays when not all could be removed. */
async function cleaned(call: Call, graph: Part["graph"]): Promise<void> {
  const own = call.signal.aborted
    ? createCall({ actor: call.actor, signal: new AbortController().signal, timeoutMs: CLEANING_MS })
    : call;
  try {
    await graph.empty(own);
    await graph.unmark(own);
  } catch (error) {
    const { message } = toOpsError(error);
    const what = `the scratch server of the drill could not be emptied (the next drill does that): ${message}`;
    call.log("WARNING", what);
  }
}

function problemsOf(found: Amounts, { expected }: RestoreTask): string[] {
  return [...differences(found.counts, expected.counts), ...differences(found.breakdown, expected.breakdown)];
}
