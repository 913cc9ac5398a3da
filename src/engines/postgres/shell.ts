import { parseCommandString } from "execa";
import type { Target } from "../../config/targets.ts";
import type { ShellCommand } from "../../query/port.ts";
import { addressOf } from "./config.ts";
import { libpqEnvironment } from "./libpq.ts";
import { connectionString } from "./quoting.ts";

/** Said by arguments, where they count more than what a service file says. */
const IN_ARGUMENTS: ReadonlySet<string> = new Set(["PGHOST", "PGPORT", "PGUSER", "PGDATABASE"]);

/**
 * psql, connected. The password and the parameters of the URL (TLS, options) travel in PG… variables.
 * @param program how it is called here, words and all: `docker exec -i -e PGPASSWORD db psql`
 */
export function postgresShell(target: Target, program = "psql"): ShellCommand {
  const [file = "psql", ...words] = parseCommandString(program);
  const address = addressOf(target);
  const { host, port, user, database } = address;
  const variables = Object.entries(libpqEnvironment(address)).flatMap(([name, value]) =>
    IN_ARGUMENTS.has(name) ? [] : [[name, value === "" ? undefined : value] as const],
  );
  return {
    file,
    args: [...words, "-h", host, "-p", String(port), "-U", user, "-d", nameOf(database)],
    env: Object.fromEntries(variables),
  };
}

/** psql takes a name like these for a connection string. */
function nameOf(database: string): string {
  return /=|^postgres(?:ql)?:\/\//.test(database) ? connectionString(database) : database;
}
