/** The parts `export` and `cypher`: the graph over Bolt, with a proof that it is as of one instant where there is one. */
import {
  type BackupOptions,
  type BackupPart,
  type Copied,
  type FileKind,
  type FileWriter,
  fileName,
  type PartFacts,
  type PartOutput,
  type Snapshot,
} from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import type { Origin } from "../engine.ts";
import { estimate } from "./backup-estimate.ts";
import { type Freeze, freeze } from "./backup-freeze.ts";
import { Bolt } from "./bolt.ts";
import { failure } from "./errors.ts";
import { exportGraph, newestBookmark, type Passed } from "./export.ts";
import { CypherFormat } from "./export-cypher.ts";
import { NdjsonFormat } from "./export-ndjson.ts";
import { MARKER_LABEL } from "./restore-marker.ts";

/** Without a freeze an export that met a write is done again, when it is quick: three in all. */
const TRIES = 3;
const QUICK_MS = 10_000;
/** The file of a method: JSON lines or a script for cypher-shell. */
const FILES = {
  export: { kind: "neo4j-ndjson", ending: "ndjson", bytesPerByte: 1.3 },
  cypher: { kind: "neo4j-cypher", ending: "cypher", bytesPerByte: 1.6 },
} as const satisfies Record<string, { kind: FileKind; ending: string; bytesPerByte: number }>;

/** What an export came to. */
interface Outcome {
  passed: Passed;
  /** Nothing was committed from before its begin to its end, and nothing is missing. */
  isProven: boolean;
}

export class ExportPart implements BackupPart {
  readonly engine = "neo4j";
  readonly name: string;
  readonly source: string;
  readonly isSlowToPrepare: boolean;
  readonly #origin: Origin;
  readonly #options: BackupOptions["neo4j"];
  readonly #file: (typeof FILES)[keyof typeof FILES];
  #bolt: Bolt | undefined;
  #freeze: Freeze | undefined;
  #writer: FileWriter | undefined;
  /** Why there is no freeze although one was asked for. */
  #unfrozen: string | undefined;
  #before: string | null = null;
  #at = 0;
  #expected = 0;
  #attempts = 0;

  constructor(origin: Origin, options: BackupOptions["neo4j"]) {
    this.#origin = origin;
    this.#options = options;
    this.name = origin.target.database ?? "neo4j";
    this.source = origin.target.shown;
    this.isSlowToPrepare = options.freeze === "always";
    this.#file = options.method === "cypher" ? FILES.cypher : FILES.export;
  }

  async open(call: Call): Promise<PartFacts> {
    const bolt = await Bolt.open(call, this.#origin);
    this.#bolt = bolt;
    await requireWhole(bolt);
    const { nodes, relationships, bytes, edition } = await estimate(bolt);
    this.#expected = nodes + relationships;
    return {
      server_version: bolt.serverVersion,
      tools: [],
      estimate_bytes: Math.ceil(bytes * this.#file.bytesPerByte) + 4_096,
      scratch_bytes: 0,
      notes: [
        edition === "community"
          ? "Neo4j Community has no roles: the user of the backup may do everything; users are not part of an export"
          : "users, roles and other databases are not part of an export of one database",
      ],
    };
  }

  async prepare(call: Call): Promise<Snapshot> {
    this.#connected(call);
    if (this.#options.freeze === "always") await this.#hold(call);
    await this.#look();
    return {
      at: this.#at,
      identity: { bookmark_before: this.#before, frozen: this.#freeze?.isHeld ?? false },
    };
  }

  async copy(call: Call, out: PartOutput): Promise<Copied> {
    this.#connected(call);
    const startedAt = performance.now();
    const isAuto = this.#options.freeze === "auto";
    const mayRepeat = () =>
      isAuto || (this.#attempts < TRIES && performance.now() - startedAt < this.#attempts * QUICK_MS);
    let outcome = await this.#attempt(call, out, mayRepeat);
    while (!isAuto && (!outcome.passed.isComplete || (!outcome.isProven && mayRepeat()))) {
      await this.#look();
      outcome = await this.#attempt(call, out, mayRepeat);
    }
    if (isAuto && !outcome.isProven) {
      await this.#hold(call);
      if (this.#freeze?.isHeld || !outcome.passed.isComplete) {
        await this.#look();
        outcome = await this.#attempt(call, out, () => false);
      }
    }
    const reason = outcome.isProven ? null : this.#whyFuzzy(outcome.passed);
    await this.#freeze?.release();
    await this.#writer?.end();
    return this.#copied(outcome.passed, reason);
  }

  async close(): Promise<void> {
    await this.#freeze?.release();
    this.#bolt?.close();
  }

  #connected(call: Call): Bolt {
    const bolt = this.#bolt!;
    bolt.call = call;
    return bolt;
  }

  /** The instant that an export begins with. */
  async #look(): Promise<void> {
    // what was acknowledged before this time is in the bookmark
    this.#at = Date.now();
    this.#before = await newestBookmark(this.#bolt!);
  }

  async #hold(call: Call): Promise<void> {
    const held = await freeze(call, this.#origin, this.#options.freezeTimeoutMs);
    if (typeof held === "string") this.#unfrozen = held;
    else this.#freeze = held;
  }

  /**
   * Exports once, in place of what was written before.
   * @param mayRepeat asked in the middle when something was written meanwhile: then there is no need to go on
   */
  async #attempt(call: Call, out: PartOutput, mayRepeat: () => boolean): Promise<Outcome> {
    const bolt = this.#bolt!;
    const before = this.#before;
    const { kind, ending } = this.#file;
    this.#attempts += 1;
    await this.#writer?.discard();
    const writer = await out.file(`neo4j/${fileName(this.name)}.${ending}`, kind);
    this.#writer = writer;
    const passed = await exportGraph(bolt, {
      header: { database: this.name, serverVersion: bolt.serverVersion },
      format: kind === "neo4j-cypher" ? new CypherFormat(bolt.place) : new NdjsonFormat(),
      bookmark: before,
      write: (piece) => writer.write(piece),
      progress: (done) =>
        call.progress({ label: `neo4j ${this.name}`, done, total: this.#expected, unit: "rows" }),
      isStillTrue: (bookmark) => bookmark === before || !mayRepeat(),
    });
    const isUnchanged = before !== null && passed.bookmark === before;
    return { passed, isProven: isUnchanged && passed.isComplete && passed.dangling === 0 };
  }

  #whyFuzzy({ bookmark, dangling }: Passed): string {
    const reasons: string[] = [];
    const changed = bookmark !== this.#before;
    if (this.#before === null)
      reasons.push("the server gives no bookmarks, which would prove that nothing was written");
    else if (changed && this.#freeze?.isHeld)
      reasons.push(
        "something was written that a freeze does not hold: nodes without labels, or with new ones",
      );
    else if (changed && this.#freeze)
      reasons.push(`the writers were held for ${seconds(this.#freeze.heldMs)} s, and the export took longer`);
    else if (changed) reasons.push(`something was written during each of ${this.#attempts} exports`);
    if (this.#unfrozen) reasons.push(this.#unfrozen);
    if (dangling > 0) reasons.push(`${dangling} relationships were left out: an end of theirs was not there`);
    return reasons.join("; ");
  }

  #copied({ totals, breakdown, bookmark }: Passed, reason: string | null): Copied {
    const held = this.#freeze;
    return {
      consistency: reason === null ? "consistent" : "fuzzy",
      reason,
      counts: { ...totals },
      breakdown,
      at: this.#at,
      identity: {
        bookmark_before: this.#before,
        bookmark_after: bookmark,
        attempts: this.#attempts,
        frozen: held !== undefined,
        frozen_ms: held ? Math.round(held.heldMs) : null,
        waited_ms: held ? Math.round(held.waitedMs) : null,
      },
    };
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** While a restore is under way, or was cut off, a part of a graph is there. */
async function requireWhole(bolt: Bolt): Promise<void> {
  await bolt.begin({ mode: "r" });
  const [left] = await bolt.rows(`MATCH (m:${MARKER_LABEL}) RETURN m.phase`);
  await bolt.commit();
  if (!left) return;
  const what = "holds a restore that is not at its end";
  throw failure("failed", bolt.place, what, "go on or undo it: opsctl restore --resume, or --abort");
}
