import { describe, expect, test } from "vitest";
import { type Kind, kindOf, schemaChange } from "../../../../src/engines/neo4j/cypher-kind.ts";

const SCHEMA = [
  "CREATE INDEX x FOR (n:A) ON (n.x)",
  "create index FOR (n:A) ON (n.x)",
  "CREATE RANGE INDEX x IF NOT EXISTS FOR (n:A) ON (n.x)",
  "CREATE TEXT INDEX x FOR (n:A) ON (n.x)",
  "CREATE POINT INDEX x FOR (n:A) ON (n.x)",
  "CREATE VECTOR INDEX x FOR (n:A) ON (n.x) OPTIONS {indexConfig: {`vector.dimensions`: 3}}",
  "CREATE FULLTEXT INDEX x FOR (n:A|B) ON EACH [n.x]",
  "CREATE LOOKUP INDEX x FOR (n) ON EACH labels(n)",
  "CREATE OR REPLACE INDEX x FOR (n:A) ON (n.x)",
  "CREATE /* (n) */ CONSTRAINT x FOR (n:A) REQUIRE n.x IS UNIQUE",
  "CREATE OR REPLACE CONSTRAINT x FOR (n:A) REQUIRE n.x IS UNIQUE",
  "DROP INDEX x",
  "DROP CONSTRAINT x IF EXISTS",
  "CYPHER 5 runtime=slotted CREATE INDEX x FOR (n:A) ON (n.x)",
  "PROFILE DROP INDEX x",
  "ALTER CURRENT GRAPH TYPE SET { (:A => {x :: INTEGER}) }",
  "CALL db.index.vector.createNodeIndex('x', 'A', 'v', 3, 'cosine')",
  "CALL apoc.schema.assert({}, {})",
];

const AUTOCOMMIT = [
  "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS",
  "MATCH (n) CALL { WITH n SET n.x = 1 } IN TRANSACTIONS OF 10 ROWS",
  "UNWIND [1] AS i CALL (i) { CREATE (:A {m: {x: i}}) } in 4 concurrent transactions OF 1 ROW",
  "MATCH (n) CALL (*) { SET n.x = 1 } IN /* ; */ TRANSACTIONS ON ERROR CONTINUE",
  "CALL apoc.periodic.iterate('MATCH (n) RETURN n', 'SET n.x = 1', {})",
];

const DATA = [
  "CREATE (:Index)",
  "CREATE (index)",
  "CREATE index = (:A)-[:B]->(:C)",
  "CREATE user = (:A)-[:B]->(:C)",
  "MATCH (n) RETURN n",
  "MATCH (n) SET n.text = 'CREATE INDEX x; CALL { } IN TRANSACTIONS'",
  "MATCH (n:`CALL {} IN TRANSACTIONS`) DELETE n",
  "/* CREATE INDEX x */ MERGE (n:A)",
  "MATCH (n) WHERE {a: 1} IN transactions RETURN n",
  "MATCH (n) CALL (n) { SET n.x = 1 } RETURN n IN [n]",
  "LOAD CSV FROM 'file:///x' AS row CREATE (:A)",
  "SHOW INDEXES",
  "CALL db.createLabel('A')",
  "EXPLAIN MATCH (n) RETURN n",
  "RETURN 'CREATE INDEX'",
  "MATCH (drop) DELETE drop",
];

describe("kinds of statements", () => {
  const cases: [Kind, string[]][] = [
    ["schema", SCHEMA],
    ["autocommit", AUTOCOMMIT],
    ["data", DATA],
  ];
  for (const [kind, statements] of cases) {
    test.each(statements)(`${kind}: %s`, (statement) => expect(kindOf(statement)).toBe(kind));
  }
});

describe("what a statement makes or drops", () => {
  test.each([
    ["CREATE INDEX x FOR (n:A) ON (n.x)", "create", "index", "x"],
    ["CREATE INDEX FOR (n:A) ON (n.x)", "create", "index", null],
    ["CREATE INDEX IF NOT EXISTS FOR (n:A) ON (n.x)", "create", "index", null],
    ["CREATE INDEX for FOR (n:A) ON (n.x)", "create", "index", "for"],
    ["CREATE INDEX if IF NOT EXISTS FOR (n:A) ON (n.x)", "create", "index", "if"],
    ["CREATE FULLTEXT INDEX `a ``b``` FOR (n:A) ON EACH [n.x]", "create", "index", "a `b`"],
    ["CREATE CONSTRAINT FOR (n:A) REQUIRE n.x IS UNIQUE", "create", "constraint", null],
    ["DROP CONSTRAINT Mixed_Case IF EXISTS", "drop", "constraint", "Mixed_Case"],
    ["DROP INDEX `x`", "drop", "index", "x"],
  ])("%s", (statement, verb, object, name) => {
    const isGuarded = / EXISTS/.test(statement);
    expect(schemaChange(statement)).toEqual({ verb, object, name, isGuarded });
  });

  test.each(DATA)("nothing: %s", (statement) => expect(schemaChange(statement)).toBeUndefined());
});
