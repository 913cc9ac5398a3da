// opsctl set "knowledge": what it holds.

RETURN COUNT { MATCH (p:Person) } AS persons,
       COUNT { MATCH (c:Concept) } AS concepts,
       COUNT { MATCH ()-[r:INTERESTED_IN]->() } AS interests;
