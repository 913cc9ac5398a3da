import type { Command } from "commander";
import { usageError } from "../errors.ts";
import type { Run } from "./command.ts";

/** Prints a script that completes commands, subcommands and flags; made from the command tree itself. */
export function define(command: Command, _run: Run): void {
  command
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText("after", '\nExample:\n  eval "$(opsctl completion bash)"')
    .action(async (shell: string) => {
      const write = SCRIPTS[shell];
      if (!write) throw usageError(`"${shell}" is no shell this can complete`, "use bash, zsh or fish");
      const { buildProgram, COMMAND_NAMES } = await import("../cli.ts");
      const program = await buildProgram(COMMAND_NAMES, () => () => {});
      process.stdout.write(write(wordLists(program)));
    });
}

/** Words that may follow each path: "" → commands, "fixes" → its subcommands and flags. */
type WordLists = [path: string, words: string[]][];

function wordLists(program: Command): WordLists {
  const lists: WordLists = [];
  const visit = (command: Command, path: string) => {
    const flags = command.options.flatMap(({ long }) => (long ? [long] : []));
    lists.push([path, [...command.commands.map((sub) => sub.name()), ...flags, "--help"]]);
    for (const sub of command.commands) visit(sub, `${path} ${sub.name()}`.trim());
  };
  visit(program, "");
  return lists;
}

const SCRIPTS: Readonly<Record<string, (lists: WordLists) => string>> = {
  bash: (lists) => `_opsctl() {
  local path="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || path="\${path:+$path }$word"
  done
  while :; do
    case "$path" in
${lists.map(([path, words]) => `      "${path}") words="${words.join(" ")}"; break ;;`).join("\n")}
      *" "*) path="\${path% *}" ;;
      *) path="" ;;
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _opsctl opsctl
`,
  zsh: (lists) => `autoload -U +X bashcompinit && bashcompinit\n${SCRIPTS["bash"]!(lists)}`,
  fish: (lists) =>
    `${lists
      .map(([path, words]) => {
        const [command = "", sub = ""] = path.split(" ");
        const condition =
          path === ""
            ? "__fish_use_subcommand"
            : `__fish_seen_subcommand_from ${command}${sub === "" ? "" : `; and __fish_seen_subcommand_from ${sub}`}`;
        const plain = words.filter((word) => !word.startsWith("-"));
        const flags = words.filter((word) => word.startsWith("--")).map((flag) => `-l ${flag.slice(2)}`);
        const lines =
          plain.length > 0 ? [`complete -c opsctl -n "${condition}" -a "${plain.join(" ")}"`] : [];
        return [...lines, ...flags.map((flag) => `complete -c opsctl -n "${condition}" ${flag}`)].join("\n");
      })
      .join("\n")}\n`,
};
