import { quoted } from "../migration-schema.ts";
import { told } from "../server-facts.ts";
import { cypher, type Neo4jCheck } from "./common.ts";
import { sharedKeys, unprotectedKeys } from "./merge-keys.ts";

/** An index on the same property stands in the way of the constraint. */
const IN_THE_WAY = `SHOW INDEXES YIELD name, type, labelsOrTypes, properties
WHERE type = 'RANGE' AND labelsOrTypes = [$label] AND properties = [$property] RETURN name`;

export const constraintMissing: Neo4jCheck = {
  id: "neo4j-constraint-missing",
  area: "neo4j",
  title: "no uniqueness constraint behind a key of MERGE",
  looks: "SHOW CONSTRAINTS, against the schema that opsctl applied; whether nodes share a key",
  async run(call, scope) {
    const found = [];
    for (const key of await unprotectedKeys(call, scope)) {
      const { set, label, property, create } = key;
      const shared = await sharedKeys(call, scope, key);
      const indexes = await told<{ name: string }>(call, scope.connection, "indexes", IN_THE_WAY, {
        label,
        property,
      });
      const drops = indexes.map(({ name }) => cypher(`DROP INDEX ${quoted(name)} IF EXISTS`, false));
      found.push({
        severity: "warning" as const,
        subject: `constraint on :${label}(${property})`,
        evidence: `the set "${set}" is applied, and ${property} of :${label} has no uniqueness constraint${shared === 0 ? "" : `; nodes share ${shared} ${shared === 1 ? "value" : "values"} of it`}`,
        cause: "writers that MERGE the same key at once make a node each",
        remedies: [...drops, cypher(create, drops.length === 0 && shared === 0)],
        advice:
          shared === 0
            ? undefined
            : "it cannot be created while nodes share a key: first opsctl doctor neo4j-duplicate-key",
      });
    }
    return found;
  },
};
