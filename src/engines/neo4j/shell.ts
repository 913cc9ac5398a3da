import { parseCommandString } from "execa";
import type { Target } from "../../config/targets.ts";
import type { ShellCommand } from "../../query/port.ts";

/**
 * cypher-shell, connected. It reads NEO4J_PASSWORD itself; with `-p` the password would stand in the list of processes.
 * @param program how it is called here, words split on spaces: `java -cp /opt/neo4j/lib/* org.neo4j.shell.Main`
 */
export function neo4jShell(target: Target, program = "cypher-shell"): ShellCommand {
  const [file = "cypher-shell", ...words] = parseCommandString(program);
  const { url, username = "neo4j", password, database } = target;
  return {
    file,
    args: [...words, "-a", url, "-u", username, ...(database === undefined ? [] : ["-d", database])],
    env: { NEO4J_PASSWORD: password },
  };
}
