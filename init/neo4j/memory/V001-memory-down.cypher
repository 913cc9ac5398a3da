// opsctl set "memory", schema v1.0.0: takes back what the set made, records included. What other programs keep
// under the same labels stays: only nodes that opsctl wrote are deleted.

// Records with their events (a Fix is an event), and the issues to which nothing else is tied.
MATCH (m:Memory)
CALL {
  WITH m
  OPTIONAL MATCH (m)<-[:OF]-(e:Event)
  OPTIONAL MATCH (e)-[:RESOLVES]->(i:Issue)
  WITH m, collect(DISTINCT e) AS events, collect(DISTINCT i) AS issues
  FOREACH (e IN events | DETACH DELETE e)
  DETACH DELETE m
  WITH issues
  UNWIND issues AS i
  WITH i WHERE NOT EXISTS { (i)--() }
  DELETE i
} IN TRANSACTIONS OF 1000 ROWS;

// The guides' scripts set no updated_at.
MATCH (a:Agent) WHERE a.updated_at IS NOT NULL AND NOT EXISTS { (a)--() } DELETE a;

MATCH (t:Term) WHERE t.df IS NOT NULL CALL { WITH t DETACH DELETE t } IN TRANSACTIONS OF 10000 ROWS;

MATCH (s:Stat {id: 'memory'}) DETACH DELETE s;

DROP INDEX memory_text IF EXISTS;

DROP CONSTRAINT stat_id IF EXISTS;
DROP CONSTRAINT term_w IF EXISTS;
DROP CONSTRAINT event_id IF EXISTS;
DROP CONSTRAINT memory_id IF EXISTS;
DROP CONSTRAINT issue_key IF EXISTS;
DROP CONSTRAINT fix_id IF EXISTS;
DROP CONSTRAINT agent_name IF EXISTS;

DROP INDEX memory_folded_key IF EXISTS;
DROP INDEX event_timestamp IF EXISTS;
DROP INDEX agent_last_seen IF EXISTS;
DROP INDEX agent_status IF EXISTS;
DROP INDEX fix_success IF EXISTS;
DROP INDEX fix_issue IF EXISTS;
DROP INDEX fix_timestamp IF EXISTS;
