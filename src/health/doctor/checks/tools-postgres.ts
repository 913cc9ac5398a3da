import type { Call } from "../../../call.ts";
import type { Check } from "../check.ts";
import { answerOf } from "../programs.ts";
import type { StackScope } from "../scope.ts";
import { isOlder, versionIn } from "../versions.ts";

interface Tool {
  name: string;
  /** What opsctl needs it for; `psql` is only for people. */
  use: string;
  isNeeded: boolean;
}

const TOOLS: readonly Tool[] = [
  { name: "pg_dump", use: "backup", isNeeded: true },
  { name: "pg_restore", use: "backup, verify and restore", isNeeded: true },
  { name: "pg_dumpall", use: "backup of roles", isNeeded: true },
  { name: "psql", use: "shell and restore of scripts", isNeeded: false },
];
/** First releases in which pg_restore no longer runs code that a prepared dump brings (CVE-2026-116314). */
const SAFE_RESTORE = [
  [18, 7],
  [17, 12],
  [16, 16],
  [15, 20],
  [14, 25],
];

/** Numbers of the version that the server said; empty when it is not asked or away. */
function serverVersion({ engines }: StackScope): number[] {
  return versionIn(engines.find(({ engine }) => engine === "postgres")?.version ?? "");
}

/** The version of a program; undefined when it cannot be run. */
async function versionOf(call: Call, scope: StackScope, name: string): Promise<number[] | undefined> {
  const answer = await answerOf(call, scope, name, ["--version"]);
  return "text" in answer ? versionIn(answer.text.replace(/^.*\(PostgreSQL\)/, "")) : undefined;
}

function isConfigured({ targets }: StackScope): boolean {
  return targets.some(({ engine }) => engine === "postgres");
}

export const toolsMissing: Check<StackScope> = {
  id: "tools-missing",
  area: "host",
  title: "client programs of PostgreSQL are missing",
  looks: "pg_dump, pg_restore, pg_dumpall and psql on PATH, where PostgreSQL is configured",
  run: async (call, scope) => {
    if (!isConfigured(scope)) return [];
    const versions = await Promise.all(TOOLS.map(({ name }) => versionOf(call, scope, name)));
    const missing = TOOLS.filter((_, at) => versions[at] === undefined);
    const major = serverVersion(scope)[0];
    const from = major === undefined ? "postgresql-client" : `postgresql-client-${major}`;
    return missing.map(({ name, use, isNeeded }) => ({
      severity: isNeeded ? ("warning" as const) : ("info" as const),
      subject: name,
      evidence: `it cannot be run here${major === undefined ? "" : `; the server is version ${major}`}`,
      cause: `opsctl needs it for ${use}`,
      remedies: [],
      advice: `install the client programs of PostgreSQL (Debian: apt-get install ${from}) and put them on PATH`,
    }));
  },
};

export const toolsOlder: Check<StackScope> = {
  id: "tools-older",
  area: "host",
  title: "client programs of PostgreSQL are older than the server",
  looks: "versions of pg_dump, pg_restore, pg_dumpall and psql against that of the server",
  run: async (call, scope) => {
    const major = serverVersion(scope)[0];
    if (!isConfigured(scope) || major === undefined) return [];
    const read = await Promise.all(
      TOOLS.map(async (tool) => ({ ...tool, version: await versionOf(call, scope, tool.name) })),
    );
    return read
      .filter(({ version }) => version?.[0] !== undefined && version[0] < major)
      .map(({ name, version, isNeeded }) => ({
        severity: isNeeded ? ("warning" as const) : ("info" as const),
        subject: name,
        evidence: `it is version ${version!.join(".")}, and the server is version ${major}`,
        cause: isNeeded
          ? "it refuses to work with a newer server: there are no backups"
          : "commands that describe tables may fail with a newer server",
        remedies: [],
        advice: `install the client programs of PostgreSQL ${major} (Debian: apt-get install postgresql-client-${major}) and put them first on PATH`,
      }));
  },
};

export const toolsVulnerable: Check<StackScope> = {
  id: "tools-vulnerable",
  area: "host",
  title: "pg_restore has a known hole",
  looks: "version of pg_restore against the releases that fixed CVE-2026-116314",
  run: async (call, scope) => {
    const version = isConfigured(scope) ? await versionOf(call, scope, "pg_restore") : undefined;
    const [major] = version ?? [];
    if (version === undefined || major === undefined) return [];
    const fixed = SAFE_RESTORE.find(([of]) => of === major);
    // releases after these have the fix from the beginning, those before are no longer mended
    if (fixed === undefined ? major > SAFE_RESTORE[0]![0]! : !isOlder(version, fixed)) return [];
    return [
      {
        // opsctl reads no archive that nobody vouches for without being told to
        severity: "info",
        subject: "pg_restore",
        evidence: `it is version ${version.join(".")}; CVE-2026-116314 is fixed in ${fixed?.join(".") ?? "no release of this version"}`,
        cause: "a prepared dump can run commands where it is restored",
        remedies: [],
        advice: `update it (Debian: apt-get install --only-upgrade postgresql-client-${major}); until then restore only archives that are signed with your key`,
      },
    ];
  },
};
