/** The main job on a fresh embedded file, command by command, with what each of them prints. */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const folder = join(root, ".quickstart");
const opsctl = join(root, "bin", "opsctl.js");

/** Nothing of the reader's own configuration: what is shown is what everybody sees. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(NEO4J|POSTGRES|REDIS|OPSCTL|DATABASE_URL|OBS_AGENT)/.test(name),
  ),
);

interface Step {
  say: string;
  args: string[];
  input?: string;
}

const PASTED = `2026-11-02 04:11:09 ERROR worker-3 giving up after 3 attempts
psycopg2.OperationalError: connection to server at "db-4" (10.0.9.2), port 5432 failed: timeout expired`;

const STEPS: readonly Step[] = [
  { say: "Two agents report for duty.", args: ["register-agent", "obs-agent-1", "--server", "prod-1"] },
  { say: "", args: ["register-agent", "obs-agent-2", "--server", "prod-2"] },
  { say: "A team's incident history comes in.", args: ["fixes", "import", "examples/incidents.ndjson"] },
  {
    say: "Something was mended: remember it.",
    args: [
      "remember",
      "issue:connection-timeout",
      "Increased timeout to 30s on the job queue",
      "--success",
      "--agent",
      "obs-agent-2",
      "--server",
      "prod-2",
    ],
  },
  {
    say: "An error arrives in the log. What helped before?",
    args: ["recall", "-", "--limit", "3"],
    input: PASTED,
  },
  { say: "A key, or its beginning, comes first.", args: ["recall", "issue:redis", "--limit", "3"] },
  { say: "What was fixed lately?", args: ["fixes", "--limit", "5"] },
  { say: "Who is alive?", args: ["agents"] },
  { say: "How much is known?", args: ["stats"] },
  { say: "Is all well?", args: ["health"] },
];

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { mode: 0o700 });
for (const step of STEPS) show(step);
process.stdout.write(`
That was one SQLite file, ${join(".quickstart", "opsctl.db")}, and no server. Next:

  npm link                                # puts opsctl on the PATH (needs Node.js 22.15 or newer)
  opsctl --help
  opsctl remember issue:my-first "what I did" --success
  opsctl recall "the error I see"

  npm run services                        # real PostgreSQL, Redis and Neo4j; export what it prints, then:
  opsctl init all && opsctl health        # the same commands on servers
`);

function show({ say, args, input }: Step): void {
  if (say !== "") process.stdout.write(`\n# ${say}\n`);
  if (input !== undefined) process.stdout.write(`$ cat error.log\n${input}\n`);
  const line = ["opsctl", ...args.map(quoted)].join(" ");
  process.stdout.write(`$ ${input === undefined ? "" : "cat error.log | "}${line}\n`);
  const { status } = spawnSync(process.execPath, [opsctl, ...args], {
    cwd: root,
    env: {
      ...environment,
      OPSCTL_DB: join(folder, "opsctl.db"),
      OPSCTL_STATE: join(folder, "state.db"),
      // the reader's own configuration file stays out of it
      XDG_CONFIG_HOME: folder,
    },
    stdio: [input === undefined ? "inherit" : "pipe", "inherit", "inherit"],
    ...(input === undefined ? {} : { input }),
  });
  // a host with a full disk is "degraded": that is an answer, not a failure of the tour
  if (status !== 0 && args[0] !== "health") throw new Error(`${line} ended with exit code ${status}`);
}

function quoted(arg: string): string {
  return /^[\w./:=-]+$/.test(arg) ? arg : `"${arg}"`;
}
