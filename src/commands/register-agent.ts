import type { Command } from "commander";
import type * as v from "valibot";
import type { registeredAgent } from "../contract/memory.ts";
import { checkName, MAX_NAME_BYTES, optionalText } from "../memory/limits.ts";
import { escapeCell } from "../output/escape.ts";
import { isoTime } from "../output/human.ts";
import { type Run, STRICT } from "./command.ts";
import { reportQueued } from "./writes.ts";

interface Options {
  server?: string;
  status?: string;
  strict?: boolean;
}

export function define(command: Command, run: Run): void {
  command
    .usage("--server <host> [options] <name>")
    .argument("<name>", "name of the agent")
    .requiredOption("--server <host>", "host it runs on")
    .option("--status <status>", "active, idle, … (default: active)")
    .option(...STRICT)
    .addHelpText("after", "\nExample:\n  opsctl register-agent obs-agent-1 --server prod-1")
    .action(
      run<Options>(async (context, [name], options) => {
        const at = Date.now();
        const server = checkName(options.server, "--server");
        const status = optionalText(options.status, "--status", MAX_NAME_BYTES) ?? "active";
        const write = { kind: "agent" as const, name: checkName(name, "NAME"), server, status, at };
        const written = await context.app.stores().write(context.call, [write]);
        const outcome = written.outcomes[0];
        const data: v.InferOutput<typeof registeredAgent> = {
          status: outcome === null ? "queued" : outcome === "new" ? "registered" : "updated",
          name: write.name,
          server,
          agent_status: status,
          last_seen: isoTime(at),
          last_seen_ms: at,
          queued: written.queued,
        };
        const failure = reportQueued(context, written);
        return {
          data,
          render: (io) => io.out(`${data.status} ${escapeCell(write.name)} on ${escapeCell(server)}\n`),
          code: options.strict && written.queued.length > 0 ? "partial" : undefined,
          failure,
        };
      }),
    );
}
