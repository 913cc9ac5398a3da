/** Runs the tools on fresh databases of one server, in turn and in random order, and proves that all of them made the same. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Log, mustRun } from "../../../services/shell.ts";
import { type Timing, timeProgram } from "../processes.ts";
import type { Random } from "../random.ts";
import { execute, type FreshDatabase, freshDatabase } from "../servers.ts";
import type { GeneratedFile } from "./history.ts";
import { bareStatus, libpqEnv, NAMES, type Peer, type Place } from "./peers.ts";
import { countRoundTrips } from "./round-trips.ts";

export interface Measured {
  name: string;
  /** One a round, in the order of the rounds. */
  timings: Timing[];
  /** NaN: it does not speak with the server. */
  roundTrips: number;
}

/** A tool that has applied all files to a database that is kept. */
export interface Applied {
  peer: Peer;
  place: Place;
}

export interface Setting {
  env: NodeJS.ProcessEnv;
  /** Everything is written below it. */
  folder: string;
  random: Random;
  /** Ends the measuring between two programs. */
  signal: AbortSignal;
  log: Log;
}

/**
 * Applies the files with each tool.
 * @throws Error when a tool leaves another schema or other rows than the first one
 */
export async function measureUp(
  setting: Setting,
  server: URL,
  peers: readonly Peer[],
  files: readonly GeneratedFile[],
  rounds: number,
): Promise<{ measured: Measured[]; applied: Applied[]; drop(): Promise<void> }> {
  const databases: FreshDatabase[] = [];
  const applied: Applied[] = [];
  const measured: Measured[] = [];
  let reference: string | undefined;
  for (const [index, peer] of peers.entries()) {
    setting.log(`${peer.name}: files, round trips, schema`);
    const cwd = join(setting.folder, String(index));
    const folder = join(cwd, "migrations");
    mkdirSync(folder, { recursive: true });
    peer.layout(folder, files);
    const database = await freshDatabase(server.href);
    databases.push(database);
    const place: Place = { folder, cwd, database: new URL(database.url), env: setting.env };
    const up = (proxied: URL) => peer.up({ ...place, database: proxied });
    measured.push({
      name: peer.name,
      timings: [],
      roundTrips: await countRoundTrips(place.database, up),
    });
    const schema = await dump(place, peer);
    reference ??= schema;
    if (schema !== reference) throw new Error(`${peer.name} left another database than ${peers[0]!.name}`);
    applied.push({ peer, place });
  }
  for (let round = 1; round <= rounds; round += 1) {
    setting.log(`round ${round} of ${rounds}`);
    for (const index of setting.random.shuffled([...peers.keys()])) {
      const { peer, place } = applied[index]!;
      setting.signal.throwIfAborted();
      measured[index]!.timings.push(await timeFresh(server, peer, place));
    }
  }
  const drop = async () => {
    for (const database of databases) await database.drop();
  };
  return { measured, applied, drop };
}

async function timeFresh(server: URL, peer: Peer, place: Place): Promise<Timing> {
  const database = await freshDatabase(server.href);
  try {
    // what the copy of the template left to write is not this tool's
    await execute(server.href, "CHECKPOINT");
    return timeProgram(peer.up({ ...place, database: new URL(database.url) }));
  } finally {
    await database.drop();
  }
}

interface Task {
  name: string;
  place: Place;
  up: Peer["up"];
}

/** Schema and rows without the tool's own tables. */
async function dump(place: Place, { history }: Peer): Promise<string> {
  const exclude = history === null ? [] : ["--exclude-table", history];
  const text = await mustRun("pg_dump", ["--no-owner", ...exclude], { env: libpqEnv(place) });
  // a random key guards each dump against what its values could say to psql
  return text.replaceAll(/^\\(?:un)?restrict .*$/gm, "");
}

/** Runs each tool again where it has nothing left to do, `runs` times, in random order; beside them the bare script and a bare Node. */
export async function measurePending(
  { random, signal }: Setting,
  applied: readonly Applied[],
  runs: number,
): Promise<Measured[]> {
  const { place } = applied.find(({ peer }) => peer.name === NAMES.opsctl)!;
  const tasks: Task[] = [
    { name: NAMES.bareStatus, place, up: bareStatus },
    ...applied
      .filter(({ peer }) => peer.history !== null)
      .map(({ peer, place }) => ({ name: peer.name, place, up: peer.up })),
  ];
  const measured: Measured[] = [];
  for (const { name, place, up } of tasks) {
    const roundTrips = await countRoundTrips(place.database, (database) => up({ ...place, database }));
    measured.push({ name, timings: [], roundTrips });
  }
  const bareNode: Measured = { name: NAMES.bareNode, timings: [], roundTrips: Number.NaN };
  for (let run = 0; run < runs; run += 1) {
    signal.throwIfAborted();
    bareNode.timings.push(timeProgram({ command: "node", args: ["-e", "0"], env: place.env }));
    for (const index of random.shuffled([...tasks.keys()])) {
      const { place, up } = tasks[index]!;
      measured[index]!.timings.push(timeProgram(up(place)));
    }
  }
  return [bareNode, ...measured];
}
