/** Starts and stops a Neo4j as an operator's commands do: `graph-server.ts start|stop STATE`; STATE holds its folder, port and password. */
import { readFileSync, writeFileSync } from "node:fs";
import { startNeo4j } from "../../scripts/services/neo4j.ts";
import { endProcess, type ProcessId } from "../../scripts/services/process.ts";

interface State {
  dir: string;
  port: number;
  password: string;
  process?: ProcessId;
}

const [action, file = ""] = process.argv.slice(2);
const state = JSON.parse(readFileSync(file, "utf8")) as State;
if (action === "start") {
  const { dir, port, password } = state;
  const server = await startNeo4j({ dir, port, password });
  writeFileSync(file, JSON.stringify({ ...state, process: server.process }));
} else if (state.process) {
  await endProcess(state.process, "SIGTERM");
}
