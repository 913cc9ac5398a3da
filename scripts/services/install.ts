/** Makes sure that everything the services need is on this machine; installs what is missing where that is possible. */
import { join } from "node:path";
import { aptInstall, aptUpdate, firstAvailable, stopPackagedService } from "./apt.ts";
import { withLock } from "./lock.ts";
import { installNeo4jJars } from "./neo4j-jars.ts";
import { installPgvector } from "./pgvector.ts";
import { installPromtool } from "./promtool.ts";
import { cacheDir, isRoot, type Log, onPath } from "./shell.ts";
import { findTools, NEO4J_VERSION, type PostgresTools, type Tools } from "./tools.ts";

/** Everything found: what `findTools` leaves open is settled. */
export type ReadyTools = Required<Tools> & { postgres: PostgresTools & { pgvector: true } };

interface Need {
  name: string;
  /** Debian packages, the first that is available is taken. */
  packages: string[];
  /** The service which the package starts on its own. */
  service?: string;
  missing: (tools: Tools) => boolean;
}

const NEEDS: Need[] = [
  {
    name: "PostgreSQL 15 or newer (initdb, postgres, psql, pg_dump)",
    packages: ["postgresql"],
    service: "postgresql",
    missing: (tools) => !tools.postgres,
  },
  {
    name: "redis-server 7 or newer",
    packages: ["redis-server"],
    service: "redis-server",
    missing: (tools) => !tools.redisServer,
  },
  {
    name: "Java 17 or 21",
    packages: ["openjdk-17-jre-headless", "openjdk-21-jre-headless", "default-jre-headless"],
    missing: (tools) => !tools.java,
  },
  { name: "Maven (mvn)", packages: ["maven"], missing: (tools) => !tools.neo4jLib && !onPath("mvn") },
  { name: "the sqlite3 command", packages: ["sqlite3"], missing: (tools) => !tools.sqlite3 },
  { name: "the jq command", packages: ["jq"], missing: (tools) => !tools.jq },
  {
    name: "PgBouncer",
    packages: ["pgbouncer"],
    service: "pgbouncer",
    missing: (tools) => !tools.pgbouncer,
  },
];

/**
 * Returns the tools, installing first what is missing: packages as root with apt, the Neo4j jars and promtool as anybody. Two runs
 * at once wait for each other. Throws one error which names everything that is missing and cannot be installed.
 */
export async function ensureTools(log: Log): Promise<ReadyTools> {
  const tools = await findTools();
  if (isComplete(tools)) return tools;
  return withLock(join(cacheDir(), "install.lock"), log, () => installMissing(log));
}

async function installMissing(log: Log): Promise<ReadyTools> {
  let tools = await findTools();
  const mayInstall = isRoot() && onPath("apt-get") !== undefined;
  const needs = NEEDS.filter((need) => need.missing(tools));
  if (mayInstall && needs.length > 0) {
    await installPackages(needs, log);
    tools = await findTools();
  }
  if (mayInstall && tools.postgres && !tools.postgres.pgvector) {
    await installPgvector(tools.postgres, log);
    tools = await findTools();
  }
  const mvn = onPath("mvn");
  if (!tools.neo4jLib && mvn && tools.java) {
    await installNeo4jJars(mvn, log);
    tools = await findTools();
  }
  if (!tools.promtool && onPath("apt-get") && onPath("dpkg-deb")) {
    // what is still missing is named below, with all the rest
    await installPromtool(log).catch((error: unknown) => log(String(error)));
    tools = await findTools();
  }
  if (isComplete(tools)) return tools;
  throw new Error(explain(tools, mayInstall));
}

async function installPackages(needs: Need[], log: Log): Promise<void> {
  await aptUpdate(log);
  const packages = await Promise.all(needs.map((need) => firstAvailable(need.packages)));
  await aptInstall(
    packages.filter((name) => name !== undefined),
    log,
  );
  for (const need of needs) {
    if (need.service) await stopPackagedService(need.service, log);
  }
}

function isComplete(tools: Tools): tools is ReadyTools {
  return (
    NEEDS.every((need) => !need.missing(tools)) &&
    tools.postgres?.pgvector === true &&
    tools.neo4jLib !== undefined &&
    tools.promtool !== undefined
  );
}

function explain(tools: Tools, mayInstall: boolean): string {
  const missing = NEEDS.filter((need) => need.missing(tools)).map((need) => {
    return `  ${need.name}: apt-get install ${need.packages[0]}`;
  });
  if (!tools.postgres?.pgvector) {
    const major = tools.postgres?.major ?? "NN";
    missing.push(
      `  pgvector: apt-get install postgresql-${major}-pgvector, or "make install" from its source`,
    );
  }
  if (!tools.neo4jLib)
    missing.push(`  the jars of Neo4j ${NEO4J_VERSION}: downloaded here once Java and Maven are there`);
  if (!tools.promtool) missing.push("  promtool: part of Prometheus; on Debian and Ubuntu downloaded here");
  const way = mayInstall
    ? "apt could not install it all; install the rest by hand and run this again."
    : "Install it, or run this once as root on a machine with apt, which installs it.";
  return `The services need what is not on this machine:\n${missing.join("\n")}\n${way}`;
}
