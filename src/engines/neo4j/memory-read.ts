import type { Call } from "../../call.ts";
import { compareBytes } from "../../memory/cursor.ts";
import {
  type Agent,
  DEFAULT_AGENT_STATUS,
  type EventView,
  ISSUE_PREFIX,
  type RecordView,
} from "../../memory/model.ts";
import type { Page, RecordFilter, StoreCounts } from "../../memory/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import {
  after,
  type Condition,
  conditionOf,
  EVENT,
  EVENT_SUMS,
  type EventRow,
  IS_LATEST,
  RECORD,
  type RecordRow,
  toEventView,
  toRecordView,
} from "./memory-rows.ts";

const RECORD_COLUMNS = `MATCH (m)<-[:OF]-(x:Event)
WITH m, e, ${EVENT_SUMS}, min(x.ts) AS firstSeen
RETURN ${RECORD} AS record, ${EVENT} AS event, occurrences, successes, failures, firstSeen`;

const NEWEST_FIRST = "ORDER BY e.ts DESC, e.id DESC";
const PAGE = "SKIP $offset LIMIT $limit";

/** What a page adds to the conditions of a filter. */
function paged(filter: Condition, page: Page): Condition {
  const cursor = after(page.after);
  const window = { limit: BigInt(page.limit), offset: BigInt(page.offset) };
  return {
    cypher: `${filter.cypher} AND ${cursor.cypher}`,
    params: { ...filter.params, ...cursor.params, ...window },
  };
}

/** Walks the events from the newest; one counts when its record has no newer event. */
export async function readRecords(
  call: Call,
  connection: Neo4jConnection,
  filter: RecordFilter,
  page: Page,
): Promise<RecordView[]> {
  const { cypher, params } = paged(conditionOf(filter), page);
  const query = `MATCH (e:Event)-[:OF]->(m:Memory) WHERE ${cypher} AND ${IS_LATEST}
WITH m, e ${NEWEST_FIRST} ${PAGE}
${RECORD_COLUMNS} ${NEWEST_FIRST}`;
  const rows = await connection.read<RecordRow>(call, query, params);
  return rows.map(toRecordView);
}

export async function readByIds(
  call: Call,
  connection: Neo4jConnection,
  ids: readonly string[],
): Promise<RecordView[]> {
  const query = `UNWIND $ids AS id MATCH (m:Memory {id: id})<-[:OF]-(e:Event)
WHERE m.deleted_at IS NULL AND ${IS_LATEST}
WITH m, e ${RECORD_COLUMNS}`;
  const rows = await connection.read<RecordRow>(call, query, { ids: [...new Set(ids)] });
  return rows.map(toRecordView);
}

export async function readEvents(
  call: Call,
  connection: Neo4jConnection,
  filter: RecordFilter,
  page: Page,
): Promise<EventView[]> {
  const { cypher, params } = paged(conditionOf(filter, true), page);
  const query = `MATCH (e:Event)-[:OF]->(m:Memory) WHERE ${cypher}
WITH m, e ${NEWEST_FIRST} ${PAGE}
RETURN ${RECORD} AS record, ${EVENT} AS event ${NEWEST_FIRST}`;
  const rows = await connection.read<EventRow>(call, query, params);
  return rows.map(toEventView);
}

/** All visible events in the order (at, id), streamed in the order of the index on the time. */
export async function* exportEvents(call: Call, connection: Neo4jConnection): AsyncGenerator<EventView> {
  const { cypher, params } = conditionOf({}, true);
  const query = `MATCH (e:Event)-[:OF]->(m:Memory) WHERE ${cypher}
RETURN ${RECORD} AS record, ${EVENT} AS event ORDER BY e.ts, e.id`;
  for await (const row of connection.stream<EventRow>(call, query, params)) yield toEventView(row);
}

/** Agents, those that the guides' scripts made included. */
export async function readAgents(
  call: Call,
  connection: Neo4jConnection,
  status: string | undefined,
): Promise<Agent[]> {
  const query = `MATCH (a:Agent) WHERE a.name IS NOT NULL
WITH a, coalesce(a.status, $active) AS status WHERE $status IS NULL OR status = $status
RETURN a.name AS name, a.server AS server, status, toInteger(coalesce(a.last_seen, 0)) AS lastSeen`;
  const params = { status: status ?? null, active: DEFAULT_AGENT_STATUS };
  const agents = await connection.read<Agent>(call, query, params);
  return agents.sort((a, b) => compareBytes(a.name, b.name));
}

export async function readCounts(call: Call, connection: Neo4jConnection): Promise<StoreCounts> {
  const query = `OPTIONAL MATCH (m:Memory) WHERE m.deleted_at IS NULL
RETURN count(m) AS records, sum(COUNT { (m)<-[:OF]-() }) AS events,
  count(CASE WHEN m.key STARTS WITH $prefix THEN 1 END) AS fixes,
  count(DISTINCT CASE WHEN m.key STARTS WITH $prefix THEN m.key END) AS issues,
  COUNT { MATCH (a:Agent) WHERE a.name IS NOT NULL } AS agents`;
  const [counts] = await connection.read<StoreCounts>(call, query, { prefix: ISSUE_PREFIX });
  return counts!;
}
