// opsctl set "knowledge", schema v1.0.0: takes back the constraints and the index. Persons, concepts and their relationships stay:
// the set did not make them.

DROP INDEX entity_names IF EXISTS;

DROP CONSTRAINT concept_name IF EXISTS;
DROP CONSTRAINT person_name IF EXISTS;
