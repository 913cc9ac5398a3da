import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";
import { byValue, type MergeKey, unprotectedKeys } from "./merge-keys.ts";

export const duplicateKey: Neo4jCheck = {
  id: "neo4j-duplicate-key",
  area: "neo4j",
  title: "nodes share a key that must be unique",
  looks: "nodes of the labels whose constraint is missing",
  async run(call, scope) {
    const found = [];
    for (const key of await unprotectedKeys(call, scope)) {
      const [counts] = await told<{ keys: number; nodes: number; copies: number }>(
        call,
        scope.connection,
        `keys of :${key.label}`,
        countOf(key),
      );
      const { keys = 0, nodes = 0, copies = 0 } = counts ?? {};
      if (keys === 0) continue;
      const { label, property } = key;
      found.push({
        severity: "error" as const,
        subject: `:${label}(${property})`,
        evidence: `${nodes} nodes share ${keys} ${keys === 1 ? "value" : "values"}; ${copies} are exact copies without a relationship`,
        cause:
          "they were written while the constraint was missing: reads find one or the other, counts are wrong",
        remedies: copies > 0 ? [cypher(removalOf(key), false)] : [],
        advice: `look at them, move their relationships to one of each, delete the rest: ${listOf(key)}`,
      });
    }
    return found;
  },
};

function listOf(key: MergeKey): string {
  return `${byValue(key)}, collect(n) AS nodes WHERE size(nodes) > 1 RETURN key, nodes`;
}

/** Of nodes with equal properties all but one, as long as nothing is connected to them. */
const COPIES = "[x IN nodes WHERE NOT (x)--()][CASE WHEN any(x IN nodes WHERE (x)--()) THEN 0 ELSE 1 END..]";

function countOf(key: MergeKey): string {
  return `${byValue(key)}, collect(n) AS shared WHERE size(shared) > 1
CALL (shared) {
  UNWIND shared AS n WITH labels(n) AS labels, properties(n) AS equal, collect(n) AS nodes
  RETURN sum(size(${COPIES})) AS copies
}
RETURN count(*) AS keys, sum(size(shared)) AS nodes, sum(copies) AS copies`;
}

function removalOf(key: MergeKey): string {
  return `${byValue(key)}, labels(n) AS labels, properties(n) AS equal, collect(n) AS nodes WHERE size(nodes) > 1 UNWIND ${COPIES} AS copy DELETE copy`;
}
