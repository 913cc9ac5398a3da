import { DEFAULT_AGENT_STATUS, type Outcome } from "../../memory/model.ts";
import type { WriteOf } from "./memory-write.ts";
import type { Session } from "./session.ts";

type AgentWrite = WriteOf<"agent">;

interface StoredAgent {
  name: string;
  server: string | null;
  status: string;
  last_seen: number;
  updated_at: number;
}

/** Creates unknown agents from their first write, then lets the other writes change what they may. */
export async function applyAgents(session: Session, writes: readonly AgentWrite[]): Promise<Outcome[]> {
  const created = await createUnknown(session, writes);
  const later = writes.filter((write) => !created.has(write));
  if (later.length > 0) await update(session, later);
  return writes.map((write) => (created.has(write) ? "new" : "duplicate"));
}

/** @returns the writes that created an agent */
async function createUnknown(session: Session, writes: readonly AgentWrite[]): Promise<Set<AgentWrite>> {
  const firsts = new Map<string, AgentWrite>();
  for (const write of writes) if (!firsts.has(write.name)) firsts.set(write.name, write);
  const sorted = [...firsts.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = await session.query<{ name: string }>(
    `INSERT INTO memori_agents (name, server, status, last_seen, updated_at)
     SELECT name, server, coalesce(status, $5), at, at
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS new (name, server, status, at)
     ON CONFLICT (name) DO NOTHING RETURNING name`,
    [
      sorted.map(({ name }) => name),
      sorted.map(({ server }) => server),
      sorted.map(({ status }) => status),
      sorted.map(({ at }) => at),
      DEFAULT_AGENT_STATUS,
    ],
  );
  return new Set(rows.map(({ name }) => firsts.get(name)!));
}

async function update(session: Session, writes: readonly AgentWrite[]): Promise<void> {
  const rows = await session.query<StoredAgent>(
    `SELECT name, server, status, last_seen, updated_at FROM memori_agents
     WHERE name = ANY ($1::text[]) ORDER BY name FOR UPDATE`,
    [[...new Set(writes.map(({ name }) => name))]],
  );
  const agents = new Map(rows.map((row) => [row.name, row]));
  for (const write of writes) change(agents.get(write.name)!, write);
  await session.query(
    `UPDATE memori_agents a SET server = new.server, status = new.status, last_seen = new.last_seen,
       updated_at = new.updated_at
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
       AS new (name, server, status, last_seen, updated_at)
     WHERE a.name = new.name`,
    [
      rows.map(({ name }) => name),
      rows.map(({ server }) => server),
      rows.map(({ status }) => status),
      rows.map(({ last_seen }) => last_seen),
      rows.map(({ updated_at }) => updated_at),
    ],
  );
}

/**
 * Of two writes the later one (by `at`) says where an agent is and how it is; being seen only moves forward.
 */
function change(agent: StoredAgent, { server, status, at }: AgentWrite): void {
  if ((server !== null || status !== null) && agent.updated_at <= at) {
    agent.server = server ?? agent.server;
    agent.status = status ?? agent.status;
    agent.updated_at = at;
  }
  agent.last_seen = Math.max(agent.last_seen, at);
}
