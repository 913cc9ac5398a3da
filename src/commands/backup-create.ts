import type * as v from "valibot";
import type { Level } from "../backup/metadata.ts";
import { type Operated, type Operation, operate } from "../backup/operate.ts";
import { said } from "../backup/phases.ts";
import type { BackupPart } from "../backup/port.ts";
import type { RetentionPolicy } from "../backup/retention.ts";
import type { Encrypt } from "../backup/run.ts";
import { makeFolder } from "../backup/work.ts";
import type { madeBackup } from "../contract/backup.ts";
import { type ErrorCode, OpsError, usageError } from "../errors.ts";
import { escapeCell } from "../output/escape.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { TOOL_VERSION } from "../package.ts";
import { ownSettings, partsOf } from "./backup-parts.ts";
import {
  type CreateOptions,
  type Destination,
  destinationOf,
  enginesOf,
  levelOf,
  sqliteFiles,
} from "./backup-request.ts";
import type { Context, Result } from "./command.ts";
import { noteUnfinished } from "./restore-unfinished.ts";
import { type RetentionOptions, retentionPolicy } from "./retention-options.ts";

type MadeBackup = v.InferOutput<typeof madeBackup>;

export async function create(
  context: Context,
  args: string[],
  options: CreateOptions & RetentionOptions & { drill?: boolean },
): Promise<Result<MadeBackup>> {
  const { app, call, io } = context;
  const startedAt = performance.now();
  const files = sqliteFiles(context, options.sqlite, false);
  const engines = enginesOf(context, args, { all: files, named: options.sqlite !== undefined });
  const destination = destinationOf(context, options, engines);
  const level = levelOf(options.verify);
  const policy = policyOf(context, options, destination);
  const encrypt = await encryption(context, options, destination);
  const reading = options.drill ? "--drill" : level === "parse" ? "--verify parse" : undefined;
  if (encrypt && reading && app.config.text("OPSCTL_BACKUP_IDENTITY") === undefined)
    throw usageError(
      `${reading}: what is encrypted cannot be read without a key`,
      `leave ${reading} out, or set OPSCTL_BACKUP_IDENTITY_FILE`,
    );
  await noteUnfinished(context);
  const parts = await partsOf(context, options, engines, destination);
  const isSet = destination.kind === undefined;
  if (isSet) makeFolder(destination.folder);
  const { text } = app.config;
  const operated = await operate(call, {
    run: {
      parts,
      folder: destination.folder,
      container: destination.container,
      name: destination.name,
      wants: (kind) => destination.kind === undefined || destination.kind === kind,
      encrypt,
      signingKey: text("OPSCTL_BACKUP_SIGNING_KEY"),
      stallMs: app.config.durationMs("OPSCTL_BACKUP_STALL"),
      ownSettings: ownSettings(context),
      opsctlVersion: TOOL_VERSION,
      catalogue: await app.catalogue(),
    },
    lock: () => (isSet ? app.backupLock(call, destination.folder) : app.hostLock(call)),
    verify: verification(context, level, destination.folder),
    drill: options.drill ? await drilling(context) : undefined,
    retention: policy,
    isEverything: args.length === 0,
    mustBeConsistent: options.requireConsistent === true,
    shrinkPercent: app.config.integer("OPSCTL_BACKUP_SHRINK"),
    hooks: { before: text("OPSCTL_BACKUP_BEFORE"), after: text("OPSCTL_BACKUP_AFTER") },
    pings: {
      start: text("OPSCTL_PING_START"),
      success: text("OPSCTL_PING_SUCCESS"),
      failure: text("OPSCTL_PING_FAILURE"),
    },
  });
  const data = describe(operated, Math.round(performance.now() - startedAt));
  // what makes the run fail is said once, at its end
  const ending = operated.hookFailure?.message;
  for (const warning of data.warnings.filter((text) => text !== ending)) io.note(warning, "warning:");
  return {
    data,
    render: (out) => render(out, data),
    ...verdict(operated, options.requireConsistent === true),
  };
}

/**
 * What is removed afterwards. A copy to a file that somebody names removes nothing beside it, unless flags say so.
 * @throws OpsError `usage` for flags that contradict one another
 */
function policyOf(
  { app }: Context,
  options: CreateOptions & RetentionOptions,
  { kind, isNamed }: Destination,
): RetentionPolicy | undefined {
  const { retentionDays, keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin } = options;
  const rules = [retentionDays, keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin];
  const hasRules = rules.some((rule) => rule !== undefined);
  if (!options.retention && hasRules)
    throw usageError("--no-retention removes nothing, and other flags say what to keep", "use one of them");
  if (kind !== undefined && hasRules)
    throw usageError(
      "--output names one engine's file, which retention never removes",
      "leave --keep-… and --retention-days out",
    );
  const policy = retentionPolicy(app.config, options);
  return options.retention && kind === undefined && (!isNamed || hasRules) ? policy : undefined;
}

function verification({ app }: Context, level: Exclude<Level, "drill">, scratchParent: string) {
  const parsers = (engine: BackupPart["engine"]) => app.backupParser(engine);
  const { text } = app.config;
  const [identity, signingKey] = [text("OPSCTL_BACKUP_IDENTITY"), text("OPSCTL_BACKUP_SIGNING_KEY")];
  return { level, tools: { parsers, scratchParent, identity, signingKey } };
}

/** Of the archive that was just made: nobody else's. @throws as `drillTools` */
async function drilling(context: Context): Promise<NonNullable<Operation["drill"]>> {
  const { drillTools } = await import("./drill-tools.ts");
  const tools = await drillTools(context, {});
  return async (call, archive) => {
    const [{ drillArchive }, { drillFailure }] = await Promise.all([
      import("../restore/drill.ts"),
      import("./backup-drill.ts"),
    ]);
    const { stage } = tools;
    const knows = async (sha256: string) => sha256 === archive.sidecar?.sha256;
    return drillFailure(
      archive,
      await drillArchive(call, archive, undefined, { ...tools, stage: { ...stage, knows } }),
    );
  };
}

/** @throws OpsError `usage` for what is no recipient, and for a container that cannot be encrypted: what is asked for must not be left out */
async function encryption(
  { app }: Context,
  { encryptTo }: CreateOptions,
  { container }: Destination,
): Promise<Encrypt | undefined> {
  const field = encryptTo ? "--encrypt-to" : "OPSCTL_BACKUP_RECIPIENTS";
  const configured = app.config.text("OPSCTL_BACKUP_RECIPIENTS")?.split(",") ?? [];
  const recipients = encryptTo ?? configured.map((recipient) => recipient.trim());
  if (recipients.length === 0) return undefined;
  if (container === "dir" || container === "file")
    throw usageError(
      `${field} asks for encryption, and ${container === "dir" ? "a plain folder" : "one engine's own file"} cannot be encrypted`,
      "make a .tar.gz or .tar.zst, or unset OPSCTL_BACKUP_RECIPIENTS for this run (OPSCTL_BACKUP_RECIPIENTS= opsctl backup …)",
    );
  const { encryptStream } = await import("../backup/encrypt.ts");
  return encryptStream(recipients, field);
}

function describe(operated: Operated, durationMs: number): MadeBackup {
  const { archive, sidecar, warnings, removed } = operated;
  const { metadata } = sidecar;
  return {
    name: archive.name,
    path: archive.path,
    container: archive.container,
    encrypted: archive.encrypted,
    size_bytes: sidecar.size_bytes,
    sha256: sidecar.sha256,
    sequence: metadata.sequence,
    state: metadata.state,
    consistency: metadata.consistency,
    skew_ms: metadata.skew_ms,
    started_at: metadata.started_at,
    finished_at: metadata.finished_at,
    duration_ms: durationMs,
    spooled_bytes: operated.spooled_bytes,
    verified: sidecar.verified,
    drill: sidecar.drill ?? null,
    parts: metadata.parts,
    warnings,
    removed,
  };
}

/** One exit code for all that may be less than wished. */
function verdict(
  { damage, failures, drillFailure, hookFailure, sidecar }: Operated,
  mustBeConsistent: boolean,
): { code?: ErrorCode; failure?: OpsError } {
  if (damage) return { failure: damage };
  if (failures.length > 0) {
    return {
      failure: new OpsError({
        code: "partial",
        message: `the archive is incomplete: ${said(failures)}`,
        hint: failures[0]!.hint ?? "opsctl health",
      }),
    };
  }
  const lesser = drillFailure ?? hookFailure;
  if (lesser) {
    const { message, hint } = lesser;
    return { failure: new OpsError({ code: "partial", message, ...(hint === undefined ? {} : { hint }) }) };
  }
  if (!mustBeConsistent || sidecar.metadata.consistency === "consistent") return {};
  const fuzzy = sidecar.metadata.parts.filter(({ consistency }) => consistency === "fuzzy");
  return {
    failure: new OpsError({
      code: "partial",
      message: `not consistent: ${fuzzy.map(({ engine, reason }) => `${engine}: ${reason}`).join("; ")}`,
      hint: "for Neo4j: --freeze auto; for Redis: a user who may PSYNC (opsctl backup grants redis)",
    }),
  };
}

type Part = MadeBackup["parts"][number];

const COLUMNS: readonly Column<Part>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  { header: "NAME", value: ({ name }) => name },
  {
    header: "STATE",
    value: ({ state }) => state,
    style: ({ state }) => (state === "failed" ? "red" : undefined),
  },
  {
    header: "CONSISTENCY",
    value: ({ consistency }) => consistency,
    style: ({ consistency }) => (consistency === "fuzzy" ? "yellow" : undefined),
  },
  { header: "HOLDS", value: ({ counts }) => countsText(counts), flexible: true },
  { header: "WHY", value: ({ error, reason }) => error?.message ?? reason, flexible: true },
];

function countsText(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}

/** A person sees the parts; a log of cron gets one line. */
async function render(io: Io, data: MadeBackup): Promise<void> {
  if (io.stdoutIsTty) await printTable(io, COLUMNS, data.parts);
  const skew = data.skew_ms === null ? "" : `, snapshots within ${data.skew_ms} ms`;
  const verified = data.verified ? `verified (${data.verified.level})` : "not verified";
  const removed = data.removed.length === 0 ? "" : `, removed ${data.removed.length} old`;
  const whole = data.parts.filter(({ state }) => state === "complete");
  const engines = [...new Set(whole.map(({ engine }) => engine))].join(" ");
  await io.out(
    `${escapeCell(data.path)}: ${data.state}, ${data.consistency}${skew}, ${verified}, ${engines}, ${bytes(data.size_bytes)} in ${(data.duration_ms / 1000).toFixed(1)} s${removed}\n`,
  );
}
