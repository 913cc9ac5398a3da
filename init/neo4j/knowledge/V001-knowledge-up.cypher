// opsctl set "knowledge", schema v1.0.0, for Neo4j 5.13 and newer (Community is enough).
// Persons, concepts, and who is interested in what:
//
//   (:Person {name})-[:INTERESTED_IN]->(:Concept {name})
//
// The set makes no nodes.

// Behind every MERGE key stands a constraint: without one, writers that MERGE the same name at once make a node
// each. INTERESTED_IN needs none: MERGE between two nodes that were found locks them first.
CREATE CONSTRAINT person_name IF NOT EXISTS FOR (p:Person) REQUIRE p.name IS UNIQUE;
CREATE CONSTRAINT concept_name IF NOT EXISTS FOR (c:Concept) REQUIRE c.name IS UNIQUE;

// The constraints' indexes find whole names and their beginnings; this one finds an entity by any word of its
// name:
//   CALL db.index.fulltext.queryNodes('entity_names', 'learning') YIELD node, score
CREATE FULLTEXT INDEX entity_names IF NOT EXISTS FOR (n:Person|Concept) ON EACH [n.name];
