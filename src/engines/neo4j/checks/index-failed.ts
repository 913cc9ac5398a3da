import { whyFailed } from "../index-rebuild.ts";
import { quoted } from "../migration-schema.ts";
import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";

interface Row {
  name: string;
  type: string;
  labels: string[] | null;
  properties: string[] | null;
  problem: string;
  create: string;
  constraint: string | null;
}

const FAILED = `SHOW INDEXES YIELD name, type, state, labelsOrTypes, properties, failureMessage, createStatement, owningConstraint
WHERE state = 'FAILED'
RETURN name, type, labelsOrTypes AS labels, properties, failureMessage AS problem, createStatement AS create,
  owningConstraint AS constraint ORDER BY name`;

export const indexFailed: Neo4jCheck = {
  id: "neo4j-index-failed",
  area: "neo4j",
  title: "an index could not be built",
  looks: "SHOW INDEXES: state FAILED",
  async run(call, { connection }) {
    const rows = await told<Row>(call, connection, "indexes", FAILED);
    return rows.map((row) => {
      const covered = `:${(row.labels ?? []).join("|")}(${(row.properties ?? []).join(", ")})`;
      const isTooLarge = /too large to index/.test(row.problem);
      const rebuild = [cypher(`DROP INDEX ${quoted(row.name)} IF EXISTS`, false), cypher(row.create, false)];
      return {
        severity: "error",
        subject: `index ${row.name}`,
        evidence: `${row.type} index on ${covered} is FAILED: ${whyFailed(row.problem)}`,
        cause: isTooLarge
          ? "no query uses it, and writes of such values are refused as soon as it is built: they scan every node of the label meanwhile"
          : "no query uses it: what it was made for scans every node of the label",
        remedies: row.constraint === null ? rebuild : [],
        ...adviceOf(row, isTooLarge),
      };
    });
  },
};

function adviceOf({ constraint, labels, properties }: Row, isTooLarge: boolean): { advice?: string } {
  if (constraint !== null) return { advice: `drop the constraint ${constraint} and create it again` };
  if (!isTooLarge) return {};
  const [label = "", property = ""] = [labels?.[0], properties?.[0]];
  const find = `MATCH (n:${quoted(label)}) WHERE size(n.${quoted(property)}) > 8000 RETURN elementId(n)`;
  return { advice: `shorten the values first (${find}), or make it a TEXT or FULLTEXT index` };
}
