import type { Command } from "commander";
import type * as v from "valibot";
import type { agents, registeredAgent } from "../contract/memory.ts";
import { heartbeat, maskNames } from "../memory/agents.ts";
import { compareBytes, pageOf, placeOf } from "../memory/cursor.ts";
import { checkName } from "../memory/limits.ts";
import type { Agent } from "../memory/model.ts";
import { escapeCell } from "../output/escape.ts";
import { age, isoTime } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, duration, integer, type Run, STRICT } from "./command.ts";
import { AFTER, noteNext } from "./rows.ts";
import { NO_MASK, reportMasked, reportQueued } from "./writes.ts";

type AgentRow = v.InferOutput<typeof agents>["agents"][number];

const COLUMNS: readonly Column<AgentRow>[] = [
  {
    header: "",
    value: (row) => (row.stale ? "stale" : "ok"),
    shown: (row) => (row.stale ? "⚠" : "✓"),
    style: (row) => (row.stale ? "yellow" : "green"),
  },
  { header: "agent", value: (row) => row.name },
  { header: "server", value: (row) => row.server },
  { header: "status", value: (row) => row.status },
  {
    header: "last seen",
    value: (row) => row.last_seen,
    shown: (row) => `${age(row.age_seconds * 1000)} ago`,
  },
];

interface ListOptions {
  status?: string;
  /** ms */
  stale?: number;
  limit?: number;
  after?: string;
}

interface HeartbeatOptions {
  mask: boolean;
  strict?: boolean;
}

const DEFAULT_STALE_MS = 3_600_000;

export function define(command: Command, run: Run): void {
  command
    .option("--status <status>", "only agents of this status")
    .option("--stale <duration>", "age from which an agent is marked ⚠ (default: 60m)", duration("--stale"))
    .option("--limit <n>", "rows (default: all)", integer("--limit", 1, 10_000))
    .option(...AFTER)
    .option(...STRICT)
    .addHelpText("after", "\nExamples:\n  opsctl agents --stale 60m\n  opsctl agents heartbeat obs-agent-1")
    .action(run<ListOptions>(list));
  command
    .command("heartbeat")
    .description("say that an agent is alive")
    .argument("<name>", "name of the agent")
    .option(...NO_MASK)
    .option(...STRICT)
    .action(run<HeartbeatOptions>(showHeartbeat));
}

async function list({ app, call }: Context, _args: string[], options: ListOptions) {
  const { status, stale = DEFAULT_STALE_MS, limit = Number.POSITIVE_INFINITY } = options;
  const place = options.after === undefined ? undefined : placeOf("agents", options.after);
  const { value, degraded } = await app.stores().read(call, (store) => store.agents(call, status));
  const rest = place ? value.filter(({ name }) => compareBytes(name, place.name) > 0) : value;
  const page = pageOf(rest, limit, "agents", ({ name }) => ({ name }));
  const now = Date.now();
  const rows = page.rows.map((agent) => agentRow(agent, now, stale));
  const { next } = page;
  const data: v.InferOutput<typeof agents> = { agents: rows, count: rows.length, next, degraded };
  const render = async (io: Context["io"]) => {
    await printTable(io, COLUMNS, rows);
    noteNext(io, next);
  };
  return { data, render, degraded };
}

function agentRow({ name, server, status, lastSeen }: Agent, now: number, staleMs: number): AgentRow {
  const ageMs = Math.max(0, now - lastSeen);
  return {
    name,
    status,
    server,
    last_seen: isoTime(lastSeen),
    last_seen_ms: lastSeen,
    age_seconds: Math.floor(ageMs / 1000),
    stale: ageMs > staleMs,
  };
}

async function showHeartbeat(context: Context, given: string[], { mask, strict }: HeartbeatOptions) {
  const { app, call } = context;
  const { names, masked } = mask ? maskNames(given) : { names: given, masked: [] };
  const { name, at, known, written } = await heartbeat(call, app.stores(), checkName(names[0], "NAME"));
  reportMasked(context, masked);
  const data: v.InferOutput<typeof registeredAgent> = {
    status: written.outcomes[0] === null ? "queued" : "updated",
    name,
    server: known?.server ?? null,
    agent_status: known?.status ?? null,
    last_seen: isoTime(at),
    last_seen_ms: at,
    queued: written.queued,
  };
  const failure = reportQueued(context, written);
  const code = strict && written.queued.length > 0 ? ("partial" as const) : undefined;
  const render = (io: Context["io"]) => io.out(`${data.status} ${escapeCell(name)}\n`);
  return { data, render, code, failure };
}
