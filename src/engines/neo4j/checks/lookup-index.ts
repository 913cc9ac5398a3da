import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";

const LOOKUPS = "SHOW INDEXES YIELD type, entityType WHERE type = 'LOOKUP' RETURN entityType AS entity";

/** What a new database has (Cypher manual, "Token lookup indexes"). */
const WANTED = [
  {
    entity: "NODE",
    of: "labels of nodes",
    create: "CREATE LOOKUP INDEX node_label_lookup_index IF NOT EXISTS FOR (n) ON EACH labels(n)",
  },
  {
    entity: "RELATIONSHIP",
    of: "types of relationships",
    create: "CREATE LOOKUP INDEX rel_type_lookup_index IF NOT EXISTS FOR ()-[r]-() ON EACH type(r)",
  },
];

export const lookupIndex: Neo4jCheck = {
  id: "neo4j-lookup-index",
  area: "neo4j",
  title: "the lookup index of labels or types is missing",
  looks: "SHOW INDEXES: type LOOKUP",
  async run(call, { connection }) {
    const rows = await told<{ entity: string }>(call, connection, "indexes", LOOKUPS);
    const missing = WANTED.filter(({ entity }) => !rows.some((row) => row.entity === entity));
    return missing.map(({ of, create }) => ({
      severity: "warning",
      subject: `lookup index on ${of}`,
      evidence: `there is no LOOKUP index on ${of}`,
      cause: "every MATCH without another index reads the whole store, and building any other index does too",
      remedies: [cypher(create, true)],
    }));
  },
};
