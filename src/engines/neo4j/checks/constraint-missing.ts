import { quoted } from "../migration-schema.ts";
import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";
import { unprotectedKeys } from "./merge-keys.ts";

/** An index on the same property stands in the way of the constraint. */
const IN_THE_WAY = `SHOW INDEXES YIELD name, type, labelsOrTypes, properties
WHERE type = 'RANGE' AND labelsOrTypes = [$label] AND properties = [$property] RETURN name`;

export const constraintMissing: Neo4jCheck = {
  id: "neo4j-constraint-missing",
  area: "neo4j",
  title: "no uniqueness constraint behind a key of MERGE",
  looks: "SHOW CONSTRAINTS, against the schema that opsctl applied",
  async run(call, scope) {
    const found = [];
    for (const { set, label, property, create } of await unprotectedKeys(call, scope)) {
      const indexes = await told<{ name: string }>(call, scope.connection, "indexes", IN_THE_WAY, {
        label,
        property,
      });
      const drops = indexes.map(({ name }) => cypher(`DROP INDEX ${quoted(name)} IF EXISTS`, false));
      found.push({
        severity: "warning" as const,
        subject: `constraint on :${label}(${property})`,
        evidence: `the set "${set}" is applied, and ${property} of :${label} has no uniqueness constraint`,
        cause: "writers that MERGE the same key at once make a node each",
        remedies: [...drops, cypher(create, drops.length === 0)],
        advice: "it cannot be created while nodes share a key: opsctl doctor neo4j-duplicate-key",
      });
    }
    return found;
  },
};
