import type { Command } from "commander";
import { checkHealth, type HealthReport } from "../health/health.ts";
import { bytes } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context, Run } from "./command.ts";
import { engineProbes } from "./probes.ts";

export function define(command: Command, run: Run): void {
  command
    .addHelpText(
      "after",
      `
Exit code 0 healthy, 3 degraded, 4 unhealthy.

Example:
  opsctl health --json | jq .status`,
    )
    .action(run(show));
}

const CODES = { healthy: undefined, degraded: "partial", unhealthy: "no" } as const;

async function show({ app, call }: Context) {
  const data = await checkHealth(call, {
    probes: engineProbes(app),
    host: { paths: [app.dataFile, app.stateFile], root: app.config.text("OPSCTL_HOST_ROOT")! },
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
    style: (row) => (GOOD.has(row.status) ? "green" : row.status === "not configured" ? "dim" : "yellow"),
  },
  { header: "detail", flexible: true, value: (row) => row.detail },
];

function rowsOf({ checks, engines }: HealthReport): Row[] {
  const { disk, memory, cpu } = checks;
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
    ...engines.map(({ engine, status, version, latency_ms, message }) => ({
      name: engine,
      status,
      detail: message ?? (version === null ? "" : `${version}, ${(latency_ms ?? 0).toFixed(1)} ms`),
    })),
  ];
}
