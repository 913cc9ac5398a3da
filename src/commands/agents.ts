import type { Command } from "commander";
import type * as v from "valibot";
import type { agents, registeredAgent } from "../contract/memory.ts";
import { heartbeat } from "../memory/agents.ts";
import { checkName } from "../memory/limits.ts";
import type { Agent } from "../memory/model.ts";
import { escapeCell } from "../output/escape.ts";
import { age, isoTime } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, duration, type Run, STRICT } from "./command.ts";
import { reportQueued } from "./writes.ts";

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

const DEFAULT_STALE_MS = 3_600_000;

export function define(command: Command, run: Run): void {
  command
    .option("--status <status>", "only agents of this status")
    .option("--stale <duration>", "age from which an agent is marked ⚠ (default: 60m)", duration("--stale"))
    .option(...STRICT)
    .addHelpText("after", "\nExamples:\n  opsctl agents --stale 60m\n  opsctl agents heartbeat obs-agent-1")
    .action(run<{ status?: string; stale?: number }>(list));
  command
    .command("heartbeat")
    .description("say that an agent is alive")
    .argument("<name>", "name of the agent")
    .option(...STRICT)
    .action(run<{ strict?: boolean }>(showHeartbeat));
}

async function list({ app, call }: Context, _args: string[], options: { status?: string; stale?: number }) {
  const { value, degraded } = await app.stores().read(call, (store) => store.agents(call, options.status));
  const now = Date.now();
  const rows = value.map((agent) => agentRow(agent, now, options.stale ?? DEFAULT_STALE_MS));
  const data: v.InferOutput<typeof agents> = { agents: rows, count: rows.length, degraded };
  return { data, render: (io: Context["io"]) => printTable(io, COLUMNS, rows), degraded };
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

async function showHeartbeat(context: Context, [given]: string[], { strict }: { strict?: boolean }) {
  const { app, call } = context;
  const { name, at, known, written } = await heartbeat(call, app.stores(), checkName(given, "NAME"));
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
