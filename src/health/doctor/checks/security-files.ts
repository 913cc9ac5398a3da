import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { configurationFiles, type KeptFile, sqliteFiles } from "../secret-files.ts";

const OTHERS = 0o007;
const GROUP_WRITE = 0o020;
const GROUP_READ = 0o040;
/** By group or others. */
const WRITE = 0o022;

export const securityFileModes: Check<StackScope> = {
  id: "security-file-modes",
  area: "stack",
  title: "other users may read or change a file with secrets or data",
  looks:
    "modes of opsctl.toml, .env, files named by X_FILE settings, the state file and the embedded file with their -wal and -shm",
  run: async (_call, scope) => {
    const { state, data } = scope.files;
    const configuration = await configurationFiles(scope);
    const kept = [
      // without secrets others may read it, and no more
      ...configuration.filter(({ hasSecrets, mode }) => hasSecrets || (mode & WRITE) !== 0),
      ...(await sqliteFiles(state, "the state file")),
      // where it is in use as a store, the checks of SQLite look
      ...(scope.targets.some(({ url }) => url === data) ? [] : await sqliteFiles(data, "the embedded file")),
    ];
    return kept.flatMap(finding);
  },
};

function finding({ path, mode, what, hasSecrets }: KeptFile): Found[] {
  const isOpen = (mode & (OTHERS | GROUP_WRITE)) !== 0;
  if (!isOpen && (mode & GROUP_READ) === 0) return [];
  const may = [
    (mode & 0o004) !== 0 ? "everybody may read it" : (mode & GROUP_READ) !== 0 ? "its group may read it" : "",
    (mode & 0o002) !== 0
      ? "everybody may write it"
      : (mode & GROUP_WRITE) !== 0
        ? "its group may write it"
        : "",
  ].filter((text) => text !== "");
  return [
    {
      // a group of its own is a common way to give a service its configuration
      severity: isOpen ? "warning" : "info",
      subject: path,
      evidence: `${what} has mode ${mode.toString(8).padStart(4, "0")}${may.length > 0 ? `: ${may.join(", ")}` : ""}`,
      cause: hasSecrets
        ? "it holds passwords: whoever reads it has the servers"
        : "whoever reads it has its data, and whoever writes it decides what opsctl does",
      remedies: [{ argv: ["chmod", "600", path], safe: true }],
    },
  ];
}
