import type { Command } from "commander";
import { usageError } from "../errors.ts";
import { checkHealth, type HealthReport } from "../health/health.ts";
import { bytes } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context, Run } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";
import { dataFolders, engineProbes } from "./probes.ts";
import { unfinishedRestore } from "./restore-unfinished.ts";

interface Options {
  deep?: boolean;
}

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j, postgres, redis, sqlite or all (default: all that are configured)")
    .option("--deep", "also set, read back and delete a value of its own in each engine")
    .addHelpText(
      "after",
      `
Asks everything at the same time; each server has OPSCTL_HEALTH_BUDGET (default: 5s), so one that is frozen hides no other. The
block [thresholds] of opsctl.toml (or OPSCTL_THRESHOLDS) says from where on disk and memory count. Exit code 0 healthy,
3 degraded, 4 unhealthy; \`opsctl doctor\` says what is wrong and what mends it.

Examples:
  opsctl health --json | jq .status
  opsctl health postgres redis --deep`,
    )
    .action(run<Options>(show));
}

const CODES = { healthy: undefined, degraded: "partial", unhealthy: "no" } as const;

async function show(context: Context, given: string[], options: Options) {
  const { app, call } = context;
  const names = engineNames(given, app.configured());
  for (const name of names) requireConfigured(context, name);
  const asksNeo4j = given.length === 0 || names.includes("neo4j");
  const data = await checkHealth(call, {
    probes: engineProbes(app, names),
    configured: app.configured(),
    host: {
      paths: dataFolders(context),
      root: app.config.text("OPSCTL_HOST_ROOT")!,
    },
    budgetMs: app.config.durationMs("OPSCTL_HEALTH_BUDGET"),
    thresholds: app.thresholds,
    deep: options.deep === true,
    httpUrl: asksNeo4j ? httpUrl(context) : undefined,
    unfinishedRestore: async () => (await unfinishedRestore(context))?.id ?? null,
  });
  return {
    data,
    async render(io: Context["io"]) {
      await printTable(io, COLUMNS, rowsOf(data));
      if (io.stdoutIsTty) await io.out(`\n${io.style(STYLES[data.status], data.status)}\n`);
      else await io.out(`overall\t${data.status}\t\n`);
    },
    code: CODES[data.status],
  };
}

/** @throws OpsError `usage` for what is no HTTP address */
function httpUrl({ app }: Context): string | undefined {
  const url = app.config.text("NEO4J_HTTP_URL");
  if (url === undefined) return undefined;
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw usageError("NEO4J_HTTP_URL is no http:// or https:// address", "for example http://localhost:7474");
  }
  return url;
}

interface Row {
  name: string;
  status: string;
  detail: string;
}

const STYLES = { healthy: "green", degraded: "yellow", unhealthy: "red" } as const;

const GOOD = new Set(["ok", "connected"]);

/** Columns of `health`: what, status, detail. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "check", value: (row) => row.name },
  {
    header: "status",
    value: (row) => row.status,
    style: (row) => (GOOD.has(row.status) ? "green" : row.status.startsWith("not ") ? "dim" : "yellow"),
  },
  { header: "detail", flexible: true, value: (row) => row.detail },
];

function rowsOf(report: HealthReport): Row[] {
  return [...hostRows(report), ...engineRows(report), ...otherRows(report)];
}

function hostRows({ checks: { disk, memory, cpu } }: HealthReport): Row[] {
  const used = (value: number | null) => (value === null ? "unknown" : `${value.toFixed(1)} % used`);
  const free = disk.free_bytes === null ? (disk.message ?? "") : `${bytes(disk.free_bytes)} free`;
  return [
    { name: "disk", status: disk.status, detail: `${used(disk.usage_percent)}, ${free}` },
    {
      name: "memory",
      status: memory.status,
      detail: `${used(memory.usage_percent)}, ${bytes(memory.available_bytes)} free`,
    },
    {
      name: "cpu",
      status: cpu.status,
      detail: `${used(cpu.usage_percent)}, load ${cpu.load_1m} on ${cpu.cores} cores`,
    },
  ];
}

function engineRows({ engines }: HealthReport): Row[] {
  return engines.flatMap(({ engine, status, version, latency_ms, message, write_test: test }) => {
    const detail = message ?? (version === null ? "" : `${version}, ${(latency_ms ?? 0).toFixed(1)} ms`);
    const tested = { name: `${engine} write test`, status: test?.ok ? "ok" : "failed" };
    return [
      { name: engine, status, detail },
      ...(test ? [{ ...tested, detail: test.message ?? `${test.duration_ms.toFixed(1)} ms` }] : []),
    ];
  });
}

function otherRows({ http, unfinished_restore: restore }: HealthReport): Row[] {
  return [
    ...(http
      ? [
          {
            name: "neo4j http",
            status: http.status,
            detail: http.message ?? `${http.url}, ${(http.latency_ms ?? 0).toFixed(1)} ms`,
          },
        ]
      : []),
    ...(restore
      ? [{ name: "restore", status: "unfinished", detail: `${restore}: opsctl restore --resume, or --abort` }]
      : []),
  ];
}
