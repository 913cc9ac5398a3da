/** What runs of opsctl that were broken off left in the graph. */
import { quoted } from "../migration-schema.ts";
import { markerOf } from "../restore-marker.ts";
import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";

export const restoreMarker: Neo4jCheck = {
  id: "neo4j-restore-unfinished",
  area: "neo4j",
  title: "a restore or a drill of this graph is not at its end",
  looks: "nodes :__opsctl_restore",
  async run(call, { connection }) {
    const marker = await markerOf(call, connection);
    if (marker === undefined) return [];
    const isDrill = marker.phase === "drill";
    return [
      {
        severity: isDrill ? "warning" : "error",
        subject: isDrill ? "scratch graph of a drill" : `restore ${marker.id}`,
        evidence: `the node :__opsctl_restore is there, phase ${marker.phase}`,
        cause: isDrill
          ? "a drill works here or was broken off: everything in this database is its own, and the next drill deletes it"
          : "a restore works here or was broken off: what is in the graph is a part of what it should be",
        remedies: [],
        advice: isDrill
          ? "if no drill is running, run opsctl drill again; when this is no scratch server, look at NEO4J_URI"
          : "on the host that began it: opsctl restore --resume, or opsctl restore --abort",
      },
    ];
  },
};

const INDEXES = `SHOW INDEXES YIELD name, properties
WHERE name STARTS WITH 'opsctl_freeze_' AND properties = ['__freeze'] RETURN name ORDER BY name`;
const NODES = "MATCH (n:__opsctl_health) RETURN count(n) AS n";

export const leftovers: Neo4jCheck = {
  id: "neo4j-leftovers",
  area: "neo4j",
  title: "a run of opsctl left something in the graph",
  looks: "indexes opsctl_freeze_*, nodes :__opsctl_health",
  async run(call, { connection }) {
    const indexes = await told<{ name: string }>(call, connection, "indexes", INDEXES);
    const [nodes] = await told<{ n: number }>(call, connection, "nodes", NODES);
    const count = nodes?.n ?? 0;
    return [
      ...indexes.map(({ name }) => ({
        severity: "warning" as const,
        subject: `index ${name}`,
        evidence: "it is of a backup's freeze, which never commits one",
        cause: "it costs every write of its label, and nothing reads it",
        // nobody uses it, but no index is dropped unasked
        remedies: [cypher(`DROP INDEX ${quoted(name)} IF EXISTS`, false)],
      })),
      ...(count > 0
        ? [
            {
              severity: "info" as const,
              subject: "nodes :__opsctl_health",
              evidence: `${count} of a write self-test, which never commits one`,
              cause: "they are in no use",
              remedies: [cypher("MATCH (n:__opsctl_health) DELETE n", true)],
            },
          ]
        : []),
    ];
  },
};
