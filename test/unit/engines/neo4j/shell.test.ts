import { expect, test } from "vitest";
import type { Target } from "../../../../src/config/targets.ts";
import { neo4jShell } from "../../../../src/engines/neo4j/shell.ts";

const target: Target = {
  engine: "neo4j",
  url: "bolt+s://graph.example:7688",
  username: "ann",
  password: "a secret that is long",
  database: "neo4j",
  shown: "",
  identity: "",
};
const connected = ["-a", "bolt+s://graph.example:7688", "-u", "ann", "-d", "neo4j"];

test.each([
  [undefined, "cypher-shell", connected],
  ["/opt/neo4j/bin/cypher-shell", "/opt/neo4j/bin/cypher-shell", connected],
  [
    "java -cp /opt/my\\ neo4j/lib/* org.neo4j.shell.Main",
    "java",
    ["-cp", "/opt/my neo4j/lib/*", "org.neo4j.shell.Main", ...connected],
  ],
])("program %s: connected, the password in the environment only", (program, file, args) => {
  expect(neo4jShell(target, program)).toEqual({ file, args, env: { NEO4J_PASSWORD: target.password } });
});

test("without a password or a database nothing is said of them", () => {
  const { password, database, ...rest } = target;
  expect(neo4jShell(rest)).toEqual({ file: "cypher-shell", args: connected.slice(0, 4), env: {} });
});
