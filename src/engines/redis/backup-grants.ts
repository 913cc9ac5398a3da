/** The users that a backup needs, with no right that it does not need. */

/** As a replica: without a right to any key. */
const REPLICA_RIGHTS = "+info +replconf +psync";

/** Key by key, where the server lets nobody be its replica. */
const SCAN_RIGHTS = "%R~* +info +select +scan +memory|usage +multi +exec +dump +pexpiretime +function|dump";

/** The commands that make one of them, for redis-cli. */
export function redisGrants(user = "opsctl_backup"): string {
  const line = (rights: string) => `ACL SETUSER ${user} reset on #SHA256_OF_THE_PASSWORD ${rights}`;
  return `# Redis 7 or newer. In place of SHA256_OF_THE_PASSWORD: printf %s "$PASSWORD" | sha256sum
# Then BACKUP_REDIS_URL=redis://${user}:PASSWORD@HOST:6379
# As a replica. It can change nothing and read no single key, but who has its password can take a copy of all data:
${line(REPLICA_RIGHTS)}
# Instead, where a managed service refuses PSYNC (key by key, --redis-method scan):
${line(SCAN_RIGHTS)}
# To keep it over a restart: ACL SAVE where an aclfile is configured, else CONFIG REWRITE
`;
}
