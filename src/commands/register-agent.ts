import type { Command } from "commander";
import type * as v from "valibot";
import type { registeredAgent } from "../contract/memory.ts";
import { maskNames } from "../memory/agents.ts";
import { checkName, MAX_NAME_BYTES, optionalText } from "../memory/limits.ts";
import { escapeCell } from "../output/escape.ts";
import { isoTime } from "../output/human.ts";
import { type Run, STRICT } from "./command.ts";
import { NO_MASK, reportMasked, reportQueued } from "./writes.ts";

interface Options {
  server?: string;
  status?: string;
  mask: boolean;
  strict?: boolean;
}

export function define(command: Command, run: Run): void {
  command
    .usage("--server <host> [options] <name>")
    .argument("<name>", "name of the agent")
    .requiredOption("--server <host>", "host it runs on")
    .option("--status <status>", "active, idle, … (default: active)")
    .option(...NO_MASK)
    .option(...STRICT)
    .addHelpText("after", "\nExample:\n  opsctl register-agent obs-agent-1 --server prod-1")
    .action(
      run<Options>(async (context, [givenName], options) => {
        const at = Date.now();
        const given = [givenName!, options.server!, options.status ?? ""];
        const { names, masked } = options.mask ? maskNames(given) : { names: given, masked: [] };
        const server = checkName(names[1], "--server");
        const status = optionalText(names[2], "--status", MAX_NAME_BYTES) ?? "active";
        const write = { kind: "agent" as const, name: checkName(names[0], "NAME"), server, status, at };
        const written = await context.app.stores().write(context.call, [write]);
        reportMasked(context, masked);
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
