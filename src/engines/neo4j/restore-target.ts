/** The database that a graph is restored into over Bolt: what is there, and how it is emptied and filled. */
import type { Call } from "../../call.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Found, RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { connectNeo4j, type Neo4jConnection } from "./connect.ts";
import { failure } from "./errors.ts";
import { nameLiteral } from "./export-literals.ts";
import { awaitIndexes } from "./migration-schema.ts";
import type { Patience } from "./patience.ts";
import { type Marker, type MarkerPhase, markerOf, removeMarker, setMarker } from "./restore-marker.ts";
import { type Content, contentOf, wipe } from "./restore-wipe.ts";

const EDITION = "CALL dbms.components() YIELD name, edition WHERE name = 'Neo4j Kernel' RETURN edition";
const NOT_ONLINE = "SHOW INDEXES YIELD name, state WHERE state <> 'ONLINE' RETURN name, state";
/** The lock of migrations, while its holder is alive. */
const MIGRATING = `MATCH (l:opsctl_lock) WHERE l.holder IS NOT NULL AND l.expires_at > datetime.realtime().epochMillis
RETURN l.owner AS owner`;

export interface Server {
  version: string;
  edition: string;
  content: Content;
  /** Of a restore that did not get to its end. */
  marker: Marker | undefined;
}

export class GraphTarget {
  readonly origin: Origin;
  readonly connection: Neo4jConnection;
  /** Statements take as long as they need while the server works on them. */
  readonly patience: Patience;
  readonly #id: string;
  readonly #isDrill: boolean;

  constructor(origin: Origin, id: string, isDrill: boolean) {
    this.origin = origin;
    this.connection = connectNeo4j(origin.target, origin.limits);
    this.patience = { statementMs: null, runner: `restore ${id}`, isRepeatable: true };
    this.#id = id;
    this.#isDrill = isDrill;
  }

  async look(call: Call): Promise<Server> {
    const { connection } = this;
    const version = await connection.serverVersion(call);
    const [components] = await connection.read<{ edition: string }>(call, EDITION);
    return {
      version,
      edition: components?.edition ?? "unknown",
      content: await contentOf(call, connection),
      marker: await markerOf(call, connection),
    };
  }

  /** @throws OpsError `locked` while migrations run there: they would write into the middle */
  async refuseMigrations(call: Call): Promise<void> {
    const [lock] = await this.connection.read<{ owner: string }>(call, MIGRATING);
    if (!lock) return;
    const what = `is being migrated by ${lock.owner}`;
    throw failure("locked", this.connection.place, what, "restore when the migration is done");
  }

  /** Says how far it is; in a drill the mark is the same from its begin to its end. */
  mark(call: Call, phase: MarkerPhase): Promise<void> {
    return setMarker(call, this.connection, { id: this.#id, phase: this.#isDrill ? "drill" : phase });
  }

  unmark(call: Call): Promise<void> {
    return removeMarker(call, this.connection);
  }

  /** Everything but the marker goes. */
  async empty(call: Call): Promise<void> {
    await this.mark(call, "wiping");
    await wipe(call, this.connection, this.patience);
  }

  /** @throws OpsError `failed` for an index that could not be built, `integrity` where the data are to blame */
  async indexesReady(call: Call): Promise<void> {
    try {
      await awaitIndexes(call, this.connection, () => true, false);
    } catch (error) {
      const { code, message, hint } = toOpsError(error);
      if (code !== "failed" || !message.includes("a value is too large")) throw error;
      throw new OpsError({
        code: "integrity",
        engine: "neo4j",
        message,
        ...(hint && { hint }),
        cause: error,
      });
    }
  }

  /** What is there, in the amounts that are expected; they come from the server's own statistics. */
  async found(call: Call, expected: RestoreTask["expected"]): Promise<Found> {
    const { connection } = this;
    const content = await contentOf(call, connection);
    const breakdown: Record<string, number> = {};
    for (const name of Object.keys(expected.breakdown)) {
      const [row] = await connection.read<{ count: number }>(call, countOf(name));
      breakdown[name] = row!.count;
    }
    const broken = await connection.read<{ name: string; state: string }>(call, NOT_ONLINE);
    const marker = await markerOf(call, connection);
    return {
      counts: { ...content },
      breakdown,
      problems: [
        ...broken.map(
          ({ name, state }) => `the index ${JSON.stringify(name)} cannot be used: it is ${state}`,
        ),
        ...(marker && !this.#isDrill
          ? [`the database has the mark of a restore that is not at its end (${marker.phase})`]
          : []),
      ],
      notes: [],
    };
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}

/** @param name as a breakdown has it: `:Label`, `[:TYPE]` */
function countOf(name: string): string {
  if (name.startsWith("[:"))
    return `MATCH ()-[r:${nameLiteral(name.slice(2, -1))}]->() RETURN count(r) AS count`;
  return `MATCH (n:${nameLiteral(name.slice(1))}) RETURN count(n) AS count`;
}

/** A part of a set must have the files of its kind. @throws OpsError `integrity` */
export function fileOf({ files, name }: RestoreTask, kind: RestoreTask["files"][number]["kind"]) {
  const file = files.find((one) => one.kind === kind);
  if (file) return file;
  throw new OpsError({
    code: "integrity",
    engine: "neo4j",
    message: `the part ${name} has no file of kind ${kind}`,
  });
}
