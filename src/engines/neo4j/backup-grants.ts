import { quoted } from "./migration-schema.ts";

/** What an administrator of Neo4j runs so that backups have a user of their own. */
export function neo4jGrants(database: string): string {
  const graph = quoted(database);
  return `// Neo4j Enterprise: a user that reads everything and writes nothing. Run in the database "system"; choose the password.
CREATE ROLE opsctl_backup IF NOT EXISTS;
CREATE USER opsctl_backup IF NOT EXISTS SET PASSWORD 'CHANGE ME' CHANGE NOT REQUIRED;
GRANT ROLE opsctl_backup TO opsctl_backup;
GRANT ACCESS ON DATABASE ${graph} TO opsctl_backup;
GRANT MATCH {*} ON GRAPH ${graph} ELEMENTS * TO opsctl_backup;
GRANT SHOW CONSTRAINT ON DATABASE ${graph} TO opsctl_backup;
GRANT SHOW INDEX ON DATABASE ${graph} TO opsctl_backup;
// Only for --freeze: the freeze is an index that is never committed, on a property of its own.
GRANT CREATE INDEX ON DATABASE ${graph} TO opsctl_backup;
GRANT CREATE NEW PROPERTY NAME ON DATABASE ${graph} TO opsctl_backup;

// Neo4j Community has no roles and no privileges: every user may do everything. A user of its own for backups has a
// password that can be changed alone, and no fewer rights. Run in the database "system":
// CREATE USER opsctl_backup IF NOT EXISTS SET PASSWORD 'CHANGE ME' CHANGE NOT REQUIRED;
`;
}
