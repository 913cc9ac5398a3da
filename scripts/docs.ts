/**
 * Writes what is generated: parts of README.md (usage from `--help`, settings, exit codes, JSON shapes) and examples/alerts.yml. `--check` only
 * says whether they are up to date (exit code 1: they are not).
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildProgram, COMMAND_NAMES } from "../src/cli.ts";
import { SETTINGS, type Setting } from "../src/config/settings.ts";
import { DEFAULT_THRESHOLDS, THRESHOLDS } from "../src/config/thresholds.ts";
import { describeContracts } from "../src/contract/describe.ts";
import { neo4jChecks } from "../src/engines/neo4j/checks/index.ts";
import { postgresChecks } from "../src/engines/postgres/checks/index.ts";
import { redisChecks } from "../src/engines/redis/checks/index.ts";
import { sqliteChecks } from "../src/engines/sqlite/checks/index.ts";
import { EXIT_CODE_MEANINGS, EXIT_CODES } from "../src/errors.ts";
import { stackGroups } from "../src/health/doctor/checks/index.ts";
import { alertRules } from "../src/health/metrics/rules.ts";

const README = join(import.meta.dirname, "..", "README.md");
const ALERTS = join(import.meta.dirname, "..", "examples", "alerts.yml");

/** The README with its generated parts as the code has them now. */
export async function currentReadme(text: string): Promise<string> {
  const parts: Record<string, string> = {
    usage: folded("Every command", await usage()),
    environment: environment(),
    thresholds: thresholds(),
    checks: folded("Every check", checks()),
    "exit codes": exitCodes(),
    json: folded("Every object", `\`\`\`text\n${describeContracts()}\`\`\``),
  };
  let result = text;
  for (const [name, content] of Object.entries(parts)) {
    const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
    const from = result.indexOf(begin);
    const to = result.indexOf(end);
    if (from === -1 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
    result = `${result.slice(0, from + begin.length)}\n\n${content}\n\n${result.slice(to)}`;
  }
  return result;
}

function folded(title: string, content: string): string {
  return `<details>\n<summary>${title}</summary>\n\n${content}\n\n</details>`;
}

async function usage(): Promise<string> {
  const program = await buildProgram(COMMAND_NAMES, () => () => {});
  const texts: string[] = [];
  const visit = (command: typeof program, path: string) => {
    if (command !== program) {
      // options of every command are listed once, at the top
      command.configureHelp({ showGlobalOptions: false, subcommandTerm: (sub) => sub.name() });
      texts.push(`### \`${path}\`\n\n\`\`\`text\n${helpOf(command)}\`\`\``);
    }
    for (const sub of command.commands) visit(sub, `${path} ${sub.name()}`);
  };
  program.configureHelp({ subcommandTerm: (sub) => sub.name() });
  texts.push(`\`\`\`text\n${helpOf(program)}\`\`\``);
  visit(program, "opsctl");
  return texts.join("\n\n");
}

function helpOf(command: Awaited<ReturnType<typeof buildProgram>>): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 100,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.replace(/\nExit codes: .*\n/, "").replace(/\n+$/, "\n");
}

function environment(): string {
  const rows = (SETTINGS as readonly Setting[]).map(
    ({ name, default: fallback, doc, secret }) =>
      `| \`${name}\` | ${fallback === undefined ? "" : `\`${fallback}\``} | ${doc}${secret ? " (secret)" : ""} |`,
  );
  return `| name | default | what it is |\n|---|---|---|\n${rows.join("\n")}`;
}

function thresholds(): string {
  const rows = THRESHOLDS.map(
    ({ name, default: value, unit, doc }) => `| \`${name}\` | ${value} | ${unit} | ${doc} |`,
  );
  return `| name | default | unit | what it decides |\n|---|---:|---|---|\n${rows.join("\n")}`;
}

/** Every check of `doctor`, in the order of `doctor --list`. */
function checks(): string {
  const all = [...stackGroups.flat(), ...neo4jChecks, ...postgresChecks, ...redisChecks, ...sqliteChecks];
  const rows = all.map(
    ({ id, title, looks }) => `| \`${id}\` | ${title} | ${looks.replaceAll("|", "\\|")} |`,
  );
  return `| check | what it finds | what it looks at |\n|---|---|---|\n${rows.join("\n")}`;
}

function exitCodes(): string {
  const rows = Object.entries(EXIT_CODES).map(
    ([name, code]) => `| ${code} | ${EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES]} |`,
  );
  return `| code | meaning |\n|---:|---|\n${rows.join("\n")}`;
}

/** The alert rules with default thresholds. */
export function currentAlerts(): string {
  return alertRules(DEFAULT_THRESHOLDS);
}

if (import.meta.main) {
  const isCheck = process.argv.includes("--check");
  const generated = [
    { path: README, write: currentReadme },
    { path: ALERTS, write: currentAlerts },
  ];
  for (const { path, write } of generated) {
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    const current = await write(text);
    if (!isCheck) writeFileSync(path, current);
    else if (text !== current) {
      console.error(`${path} is out of date: npm run docs`);
      process.exitCode = 1;
    }
  }
}
