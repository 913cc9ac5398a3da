import type { Command } from "commander";
import type * as v from "valibot";
import type { remembered } from "../contract/memory.ts";
import { OpsError, usageError } from "../errors.ts";
import { parseJson } from "../memory/json.ts";
import { MAX_TEXT_BYTES } from "../memory/limits.ts";
import { type FieldNames, maskInput, rememberWrite } from "../memory/remember.ts";
import { type Context, collect, type Run, STRICT, textOrStdin, time } from "./command.ts";
import { outcomeWord } from "./rows.ts";
import { conflictError, NO_MASK, reportMasked, reportQueued } from "./writes.ts";

interface Options {
  details?: string;
  success?: boolean;
  failed?: boolean;
  agent?: string;
  server?: string;
  tag?: string[];
  metadata?: string;
  at?: number;
  eventId?: string;
  mask: boolean;
  strict?: boolean;
}

const NAMES: FieldNames = {
  key: "KEY",
  content: "CONTENT",
  details: "--details",
  success: "--success",
  agent: "--agent",
  server: "--server",
  tags: "--tag",
  metadata: "--metadata",
  at: "--at",
  id: "--id",
  eventId: "--event-id",
};

export function define(command: Command, run: Run): void {
  command
    .argument("<key>", "what it is about, for example issue:connection-timeout")
    .argument("<content>", "what was done; - reads stdin")
    .option("--details <text>", "more about it, the error message for example; - reads stdin")
    .option("--success", "it worked")
    .option("--failed", "it did not work (neither: from the metadata, else from the wording, else unknown)")
    .option("--agent <name>", "who did it")
    .option("--server <host>", "where")
    .option("--tag <tag>", "a tag; may be repeated", collect)
    .option("--metadata <json>", "a JSON object")
    .option(
      "--at <time>",
      "when (default: now): RFC 3339, a date, epoch milliseconds, or an age such as 2h",
      time("--at"),
    )
    .option("--event-id <id>", "your id of the event: sending it again changes nothing")
    .option(...NO_MASK)
    .option(...STRICT)
    .addHelpText(
      "after",
      `
The same text for the same key again is a new event of one record.

Example:
  opsctl remember issue:connection-timeout "Increased timeout to 30s" --success --agent obs-agent-1`,
    )
    .action(run<Options>(remember));
}

async function remember(context: Context, [key, text]: string[], options: Options) {
  const { app, call } = context;
  if (options.success && options.failed)
    throw usageError("--success and --failed are both given", "give one of them");
  if (text === "-" && options.details === "-")
    throw usageError("CONTENT and --details both read stdin", "let one of them");
  const content = (await textOrStdin(call, text!, "CONTENT", MAX_TEXT_BYTES)).replace(
    text === "-" ? /\n$/ : /$^/,
    "",
  );
  const details =
    options.details === undefined
      ? undefined
      : await textOrStdin(call, options.details, "--details", MAX_TEXT_BYTES);
  const given = {
    key,
    content,
    details,
    success: options.success ? true : options.failed ? false : undefined,
    agent: options.agent,
    server: options.server,
    tags: options.tag,
    metadata: parseMetadata(options.metadata),
    at: options.at,
    eventId: options.eventId,
  };
  const { input, masked } = options.mask ? maskInput(given) : { input: given, masked: [] };
  const write = rememberWrite(input, NAMES, Date.now());
  const written = await app.stores().write(call, [write]);
  const [outcome] = written.outcomes;
  const conflict = written.conflicts.get(0);
  if (conflict) throw conflictError(write.event.id, conflict);
  reportMasked(context, masked);
  const data: v.InferOutput<typeof remembered> = {
    id: write.record.id,
    event_id: write.event.id,
    key: write.record.key,
    status: written.queued.length > 0 ? "queued" : outcome === "duplicate" ? "duplicate" : "stored",
    success: write.event.success,
    queued: written.queued,
    masked,
  };
  return {
    data,
    render: (io: Context["io"]) =>
      io.out(`${data.status} ${write.record.id} (${outcomeWord(write.event.success)})\n`),
    code: options.strict && written.queued.length > 0 ? ("partial" as const) : undefined,
    failure: reportQueued(context, written),
  };
}

function parseMetadata(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof OpsError) throw error;
    throw usageError("--metadata is not valid JSON", `write it as '{"team": "db"}'`);
  }
}
