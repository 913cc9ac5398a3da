// opsctl set "memory", schema v1.0.0, for Neo4j 5.13 and newer (Community is enough).
// Records, their events (those of issues are also Fix nodes), agents, issues, and what full-text ranking
// needs. Times are milliseconds since the epoch. `opsctl init neo4j` first replaces an index on Agent.name,
// which the guides make: Neo4j refuses an index and a constraint on one property. By hand: DROP INDEX
// agent_name;

CREATE INDEX fix_timestamp IF NOT EXISTS FOR (f:Fix) ON (f.ts);
CREATE INDEX fix_issue IF NOT EXISTS FOR (f:Fix) ON (f.issue);
CREATE INDEX fix_success IF NOT EXISTS FOR (f:Fix) ON (f.success);
CREATE INDEX agent_status IF NOT EXISTS FOR (a:Agent) ON (a.status);
CREATE INDEX agent_last_seen IF NOT EXISTS FOR (a:Agent) ON (a.last_seen);
CREATE INDEX event_timestamp IF NOT EXISTS FOR (e:Event) ON (e.ts);
CREATE INDEX memory_folded_key IF NOT EXISTS FOR (m:Memory) ON (m.folded_key);

CREATE CONSTRAINT agent_name IF NOT EXISTS FOR (a:Agent) REQUIRE a.name IS UNIQUE;
CREATE CONSTRAINT fix_id IF NOT EXISTS FOR (f:Fix) REQUIRE f.id IS UNIQUE;
CREATE CONSTRAINT issue_key IF NOT EXISTS FOR (i:Issue) REQUIRE i.key IS UNIQUE;
CREATE CONSTRAINT memory_id IF NOT EXISTS FOR (m:Memory) REQUIRE m.id IS UNIQUE;
CREATE CONSTRAINT event_id IF NOT EXISTS FOR (e:Event) REQUIRE e.id IS UNIQUE;
CREATE CONSTRAINT term_w IF NOT EXISTS FOR (t:Term) REQUIRE t.w IS UNIQUE;
CREATE CONSTRAINT stat_id IF NOT EXISTS FOR (s:Stat) REQUIRE s.id IS UNIQUE;

// Prepared tokens, verbatim: the analyzer has lower-cased, stemmed and split them.
CREATE FULLTEXT INDEX memory_text IF NOT EXISTS FOR (m:Memory) ON EACH [m.tokens]
OPTIONS { indexConfig: { `fulltext.analyzer`: 'whitespace' } };

// Every write of the memory locks this node first, so that frequencies and outcomes are exact with several
// writers.
MERGE (s:Stat {id: 'memory'})
ON CREATE SET s.documents = 0, s.title_length = 0, s.body_length = 0;
