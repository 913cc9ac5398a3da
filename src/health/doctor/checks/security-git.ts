import { basename, dirname } from "node:path";
import type { Call } from "../../../call.ts";
import { OpsError } from "../../../errors.ts";
import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { configurationFiles } from "../secret-files.ts";

export const securitySecretsInGit: Check<StackScope> = {
  id: "security-secrets-in-git",
  area: "stack",
  title: "a file with passwords is under version control",
  looks: "git status of opsctl.toml, .env and files named by X_FILE settings, where they hold secrets",
  run: async (call, scope) => {
    const files = (await configurationFiles(scope)).filter(({ hasSecrets }) => hasSecrets);
    return (await Promise.all(files.map(({ path }) => finding(call, scope, path)))).flat();
  },
};

async function finding(call: Call, scope: StackScope, path: string): Promise<Found[]> {
  const state = await stateOf(call, scope, path);
  if (state === "ignored" || state === "elsewhere") return [];
  const [folder, name] = [dirname(path), basename(path)];
  return [
    {
      severity: state === "tracked" ? "error" : "warning",
      subject: path,
      evidence:
        state === "tracked"
          ? "it holds passwords, and git tracks it"
          : "it holds passwords, lies in a git repository, and is not ignored",
      cause:
        state === "tracked"
          ? "everybody with a copy of the repository has the passwords, also after it is removed: they stay in its history"
          : "the next `git add .` puts the passwords into the history of the repository",
      remedies:
        state === "tracked"
          ? [{ argv: ["git", "-C", folder, "rm", "--cached", "--", name], safe: false }]
          : [],
      advice: `add /${name} to ${folder}/.gitignore${state === "tracked" ? ", commit, and change the passwords" : ""}`,
    },
  ];
}

async function stateOf(
  call: Call,
  scope: StackScope,
  path: string,
): Promise<"tracked" | "untracked" | "ignored" | "elsewhere"> {
  try {
    // neither the index is refreshed nor a program run that the repository names
    const said = await scope.ask(call, "git", [
      "--no-optional-locks",
      "--literal-pathspecs",
      "-c",
      "core.fsmonitor=false",
      "-C",
      dirname(path),
      "status",
      "--porcelain",
      "--ignored",
      "--untracked-files=all",
      "--",
      basename(path),
    ]);
    // one that was taken out of the index has two lines
    const last = said.trim().split("\n").at(-1)!;
    if (last.startsWith("!!")) return "ignored";
    return last.startsWith("??") ? "untracked" : "tracked";
  } catch (error) {
    // no git, or no repository
    if (error instanceof OpsError && !call.signal.aborted) return "elsewhere";
    throw error;
  }
}
