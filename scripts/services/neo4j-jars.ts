/** The jars of Neo4j Community and cypher-shell, from Maven's repository, kept between clones. */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Log, mustRun, withRetries } from "./shell.ts";
import { NEO4J_VERSION, neo4jLibDir } from "./tools.ts";

const ARTIFACTS = ["org.neo4j:neo4j", "org.neo4j.app:neo4j-server", "org.neo4j:cypher-shell"];

/**
 * Downloads the jars (125 MB) with `mvn`, which takes repositories and mirrors from the machine's own settings. The
 * caller holds the installation lock. The folder appears at once and complete, by a rename.
 */
export async function installNeo4jJars(mvn: string, log: Log): Promise<void> {
  log(`downloading the jars of Neo4j ${NEO4J_VERSION} with Maven (125 MB)`);
  const target = dirname(neo4jLibDir());
  const parent = dirname(target);
  mkdirSync(parent, { recursive: true });
  removeLeftovers(parent, `${basename(target)}.tmp-`);
  const work = mkdtempSync(`${target}.tmp-`);
  // Java asks the user database for the home folder, not HOME: say where Maven may keep its files. What a failed
  // attempt has downloaded serves the next one.
  const repository = join(parent, "maven");
  try {
    writeFileSync(join(work, "pom.xml"), pom());
    const goal = [
      "dependency:copy-dependencies",
      "-DincludeScope=runtime",
      `-DoutputDirectory=${join(work, "lib")}`,
    ];
    const args = ["-B", "-q", "-ntp", `-Dmaven.repo.local=${repository}`, ...goal];
    await withRetries("Maven", log, () => mustRun(mvn, args, { cwd: work }));
    renameSync(work, target);
    rmSync(repository, { recursive: true, force: true });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function removeLeftovers(parent: string, prefix: string): void {
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function pom(): string {
  const dependencies = ARTIFACTS.map((artifact) => {
    const [group, name] = artifact.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${NEO4J_VERSION}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>opsctl.dev</groupId><artifactId>neo4j</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependencies.join("\n    ")}
  </dependencies>
</project>
`;
}
