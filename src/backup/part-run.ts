/** One part on its way through a run: what it has reached, and what it says of itself in the end. */
import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { abortError, type Call } from "../call.ts";
import { type EngineName, OpsError, toOpsError } from "../errors.ts";
import type { PartMetadata } from "./metadata.ts";
import type { BackupPart, Copied, FileKind, PartFacts, PartOutput, Snapshot } from "./port.ts";
import { SpoolError, SpooledFile, type SpoolOptions } from "./spool.ts";
import { type Watch, watch } from "./watch.ts";

/** Names in hints that lead elsewhere when an engine has a connection for backups. */
const CONNECTION_SETTINGS =
  /(?<!BACKUP_)\b(DATABASE_URL|POSTGRES_[A-Z]+|REDIS_[A-Z]+|NEO4J_(URI|USERNAME|PASSWORD))\b/;

export interface PartRunOptions {
  call: Call;
  /** Aborted when the disk fails: then no part can go on. */
  stop: AbortSignal;
  stallMs: number;
  wants(kind: FileKind): boolean;
  /** Folder of the run. */
  work: string;
  spool: SpoolOptions;
  /** Paths in the set that are taken, of all parts. */
  paths: Set<string>;
  /** Settings of backups alone that lead to an engine: errors name those of everything else. */
  ownSettings: Readonly<Partial<Record<EngineName, string>>>;
}

export class PartRun {
  readonly part: BackupPart;
  readonly files: SpooledFile[] = [];
  facts: PartFacts | undefined;
  snapshot: Snapshot | undefined;
  copied: Copied | undefined;
  failure: OpsError | undefined;
  readonly #options: PartRunOptions;
  readonly #watch: Watch;
  readonly #startedAt = Date.now();
  readonly #scratch: string;
  /** Ends the rest between two phases, in which the part has nothing to say. */
  #rest: () => void;
  #finishedAt = 0;

  constructor(part: BackupPart, options: PartRunOptions) {
    this.part = part;
    this.#options = options;
    this.#scratch = join(options.work, randomBytes(8).toString("hex"));
    const { call, stop, stallMs } = options;
    this.#watch = watch(call, stop, stallMs, part.engine, part.source);
    this.#rest = this.#watch.hold();
  }

  get isRunning(): boolean {
    return this.failure === undefined && this.copied === undefined;
  }

  open(): Promise<void> {
    return this.#step(async ({ call }) => {
      this.facts = await this.part.open(call);
    });
  }

  prepare(): Promise<void> {
    return this.#step(async ({ call }) => {
      this.snapshot = await this.part.prepare(call);
    });
  }

  copy(): Promise<void> {
    return this.#step(async ({ call }) => {
      await mkdir(this.#scratch, { mode: 0o700 });
      const copied = await this.part.copy(call, this.#output());
      const open = this.files.find(({ isWhole }) => !isWhole);
      if (open) throw new Error(`${open.metadata.path} was never ended`);
      this.copied = copied;
    });
  }

  /** Ends the part's snapshot, and takes back the files of one that failed. */
  async close(): Promise<void> {
    this.#watch.end();
    await this.part.close();
    await rm(this.#scratch, { recursive: true, force: true });
    if (this.failure) await this.#discard();
    this.#finishedAt = Date.now();
  }

  metadata(): PartMetadata {
    const { part, facts, snapshot, copied, failure } = this;
    const at = copied?.at ?? snapshot?.at;
    return {
      engine: part.engine,
      name: part.name,
      source: part.source,
      state: failure ? "failed" : "complete",
      error: failure ? { code: failure.code, message: failure.message } : null,
      consistency: copied?.consistency ?? null,
      reason: copied?.reason ?? null,
      started_at: new Date(this.#startedAt).toISOString(),
      snapshot_at: at === undefined ? null : new Date(at).toISOString(),
      finished_at: new Date(this.#finishedAt).toISOString(),
      snapshot: { ...snapshot?.identity, ...copied?.identity },
      server_version: facts?.server_version ?? null,
      tools: facts?.tools ?? [],
      counts: copied?.counts ?? {},
      breakdown: copied?.breakdown ?? {},
      files: this.files.map(({ metadata }) => metadata.path),
      notes: [...(facts?.notes ?? []), ...(copied?.notes ?? [])],
    };
  }

  /** Runs a phase unless an earlier one failed. What ends the whole run is thrown, what ends the part is kept. */
  async #step(work: (watch: Watch) => Promise<void>): Promise<void> {
    if (this.failure) return;
    const { call, stop } = this.#options;
    this.#rest();
    try {
      await this.#watch.until(work(this.#watch));
    } catch (error) {
      if (stop.aborted) throw abortError(stop.reason);
      if (call.signal.aborted) throw abortError(call.signal.reason);
      if (error instanceof SpoolError) throw error;
      this.failure = this.#explain(error);
    } finally {
      this.#rest = this.#watch.hold();
    }
  }

  /** What the watchdog said counts: a driver's error afterwards only says that its connection is gone. */
  #explain(error: unknown): OpsError {
    const { signal } = this.#watch.call;
    const known = signal.aborted ? abortError(signal.reason) : toOpsError(error);
    const { engine } = this.part;
    const own = this.#options.ownSettings[engine];
    const { code, message, hint } = known;
    const isMisleading = own !== undefined && CONNECTION_SETTINGS.test(hint ?? "");
    if (known.engine && !isMisleading) return known;
    const better = isMisleading
      ? `check ${own}; opsctl backup grants ${engine} prints what its user needs`
      : hint;
    return new OpsError({
      code,
      message,
      engine,
      cause: error,
      ...(better === undefined ? {} : { hint: better }),
    });
  }

  #output(): PartOutput {
    const { wants, work, spool, paths } = this.#options;
    return {
      wants,
      scratch: this.#scratch,
      file: async (path, kind) => {
        if (this.failure) throw this.failure;
        if (paths.has(path)) throw new Error(`${path} is twice in the set`);
        paths.add(path);
        const name = join(work, `${randomBytes(8).toString("hex")}.spool`);
        const file = await SpooledFile.create(name, path, kind, spool);
        this.files.push(file);
        return {
          write: (chunk) => this.#held(() => file.write(chunk)),
          end: () => this.#held(() => file.end()),
          discard: async () => {
            this.files.splice(this.files.indexOf(file), 1);
            paths.delete(path);
            await file.discard();
          },
        };
      },
    };
  }

  async #held(work: () => Promise<void>): Promise<void> {
    const release = this.#watch.hold();
    try {
      await work();
    } finally {
      release();
    }
  }

  async #discard(): Promise<void> {
    for (const file of this.files.splice(0)) await file.discard();
  }
}
