import { describe, expect, test } from "vitest";
import { checkCypher } from "../../../../src/engines/neo4j/cypher-check.ts";

const check = (text: string) =>
  checkCypher({ file: "V001-x-up.cypher", text, checksum: "sha256:x", inTransaction: true });

describe("what must not run", () => {
  test.each<[string, string, string]>([
    [":begin\nCREATE (n);\n:commit", "1:1", ":begin is a command of cypher-shell"],
    ["CREATE (n);\n:commit;", "2:1", ":commit is a command of cypher-shell"],
    ["CREATE (n);\n  :param x => 1;", "2:3", ":param is a command"],
    ["RETURN 1; :use other;", "1:11", ":use is a command"],
    ["BEGIN; CREATE (n); COMMIT;", "1:1", "BEGIN is not Cypher"],
    ["CREATE (n);\nCOMMIT", "2:1", "COMMIT is not Cypher"],
    ["CREATE (n); rollback;", "1:13", "ROLLBACK is not Cypher"],
    ["USE other MATCH (n) RETURN n", "1:1", "USE chooses another database"],
    ["RETURN 1; CALL { USE other MATCH (n) RETURN n } RETURN n", "1:18", "USE chooses"],
    ["RETURN 1 AS x UNION ALL USE other RETURN 2 AS x", "1:25", "USE chooses"],
    ["USING PERIODIC COMMIT 100 LOAD CSV FROM 'x' AS r CREATE (n)", "1:1", "gone since Neo4j 5"],
    ["CREATE DATABASE other", "1:1", "CREATE DATABASE is about the server"],
    ["CREATE OR REPLACE USER a SET PASSWORD 'b'", "1:1", "about the server"],
    ["DROP USER a", "1:1", "DROP USER is about the server"],
    ["ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'b'", "1:1", "about the server"],
    ["GRANT ROLE a TO b", "1:1", "about the server"],
    ["TERMINATE TRANSACTIONS 'x'", "1:1", "about the server"],
    ["SHOW DATABASES", "1:1", "about the server"],
    ["SHOW CURRENT USER", "1:1", "about the server"],
    ["SHOW USER a PRIVILEGES", "1:1", "about the server"],
    ["MATCH (n)\nSET n.x = $value", "2:11", "the parameter $value has no value"],
    ["RETURN $`a b`", "1:8", "has no value"],
    ["RETURN 'never;\nCREATE (n)", "1:8", "a string that never ends"],
    ['RETURN "a\\"', "1:8", "a string that never ends"],
    ["RETURN 1;\nMATCH (`n) RETURN n", "2:8", "a name in backticks that never ends"],
    ["RETURN 1;\n\n /* open", "3:2", "a comment that never ends"],
    ["RETURN 'a\\u0027 + 1", "1:10", "\\u0027 is read differently"],
    ["RETURN 1 // \\u000a; MATCH (n) DELETE n", "1:13", "\\u000a is read differently"],
  ])("%j at %s: %s", (text, place, what) => {
    const expected = expect.stringContaining(`V001-x-up.cypher:${place}: `);
    expect(() => check(text)).toThrow(expect.objectContaining({ code: "usage", message: expected }));
    expect(() => check(text)).toThrow(what);
  });

  test("the excerpt has a caret under the place", () => {
    expect(() => check("CREATE (n);\n  COMMIT;")).toThrow(
      "V001-x-up.cypher:2:3: COMMIT is not Cypher\n  2 |   COMMIT;\n    |   ^",
    );
  });
});

test.each([
  "CREATE (n:A {begin: 1, use: 2}) RETURN n.use, {use: 1}",
  "MATCH (use) WITH use AS x, 1 AS commit RETURN use, commit",
  "MATCH (n\n:Label) RETURN n",
  "CREATE user = (:A)-[:B]->(:C)",
  "RETURN ':begin; COMMIT; $x' // COMMIT; $x",
  "MATCH (n:$all(['A'])) SET n:$('B') RETURN n",
  "SHOW USER DEFINED FUNCTIONS",
  "SHOW INDEXES; SHOW CONSTRAINTS; SHOW PROCEDURES; SHOW SETTINGS",
  "ALTER CURRENT GRAPH TYPE SET { (:A => {x :: INTEGER}) }",
  "RETURN 'caf\\u00e9', 'C:\\\\u0027'",
  "CREATE OR REPLACE INDEX x FOR (n:A) ON (n.x); DROP CONSTRAINT y; CREATE CONSTRAINT FOR (n:A) REQUIRE n.x IS UNIQUE",
  "// comments alone",
])("may run: %j", (text) => expect(() => check(text)).not.toThrow());
