import { INDEX_VERSION } from "../../../memory/analyze.ts";
import { INDEX_STATE, type IndexState } from "../memory-renew.ts";
import { told } from "../server-facts.ts";
import type { Neo4jCheck } from "./common.ts";

const SUBJECT = "full-text index of the memory";

export const memoryIndex: Neo4jCheck = {
  id: "neo4j-memory-index",
  area: "neo4j",
  title: "the index of the memory is of another version",
  looks: "index_version of the node :Stat, against what this opsctl makes",
  async run(call, { connection }) {
    const [state] = await told<IndexState>(call, connection, "version of the index", INDEX_STATE);
    if (!state || state.documents === 0 || state.version === INDEX_VERSION) return [];
    const evidence = `version ${state.version}, with ${state.documents} records; this opsctl makes version ${INDEX_VERSION}`;
    if (state.version > INDEX_VERSION) {
      return [
        {
          severity: "error",
          subject: SUBJECT,
          evidence,
          cause: "a newer opsctl made it: this one can neither search nor write",
          remedies: [],
          advice: "upgrade opsctl on this host",
        },
      ];
    }
    return [
      {
        severity: "info",
        subject: SUBJECT,
        evidence,
        cause: "recall finds these records by their words only, not by the shape of a pasted line",
        remedies: [{ argv: ["opsctl", "maintain", "neo4j", "--yes"], safe: true }],
      },
    ];
  },
};
