import { told } from "../server-facts.ts";
import type { Neo4jCheck } from "./common.ts";

const POPULATING = `SHOW INDEXES YIELD name, type, state, populationPercent WHERE state = 'POPULATING'
RETURN name, type, populationPercent AS percent ORDER BY name`;

/** Longer than that a single question may not take, whatever the limit for queries is. */
const WAIT_SECONDS = 300;

export const indexPopulating: Neo4jCheck = {
  id: "neo4j-index-populating",
  area: "neo4j",
  title: "an index is still being built",
  looks: "SHOW INDEXES: state POPULATING",
  async run(call, { connection }) {
    const rows = await told<{ name: string; type: string; percent: number }>(
      call,
      connection,
      "indexes",
      POPULATING,
    );
    return rows.map(({ name, type, percent }) => ({
      severity: "info",
      subject: `index ${name}`,
      evidence: `${type} index, ${percent.toFixed(1)} % are built`,
      cause: "queries do not use it before it is complete; transactions that were open before it hold it up",
      remedies: [
        {
          argv: ["opsctl", "query", "neo4j", `CALL db.awaitIndexes(${WAIT_SECONDS})`],
          safe: true,
        },
      ],
      advice:
        "when the percentage stands still, look for long transactions: opsctl doctor neo4j-slow-transaction",
    }));
  },
};
