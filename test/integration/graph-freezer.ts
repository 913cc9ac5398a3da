/** A process that holds the writers of a Neo4j for `MS` and says when: `graph-freezer.ts URI PASSWORD MS`. */
import { freeze } from "../../src/engines/neo4j/backup-freeze.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS, targetOf } from "./graph-kit.ts";

const [uri = "", password = "", ms = ""] = process.argv.slice(2);
const target = targetOf({ uri, username: "neo4j", password, wipe: async () => {} });
const held = await freeze(testCall(), { target, limits: LIMITS }, Number(ms));
process.stdout.write(typeof held === "string" ? `${held}\n` : "held\n");
