import { OpsError, usageError } from "../errors.ts";
import type { Conflict, Written } from "../memory/stores.ts";
import type { Context } from "./command.ts";

/** An event id that is taken by another event: who refused it, and whether some store had no such id and took it. */
export function conflictError(id: string, { refused, stored }: Conflict): OpsError {
  const outcome =
    stored.length === 0
      ? "nothing was stored"
      : `${stored.join(" and ")} had no such event and stored it, so the stores differ now`;
  return usageError(
    `--event-id: ${id} is already the id of another event (${refused.join(" and ")}); ${outcome}`,
    "use a new id for a new event, or leave it out",
  );
}

/**
 * Says on stderr why a write waits. Refused credentials will not mend themselves: the write stays queued and the command fails with 21.
 */
export function reportQueued({ io }: Context, { failures }: Pick<Written, "failures">): OpsError | undefined {
  for (const { message } of failures) {
    // nothing is delivered before what the message names has been done
    const when = message.includes("(Try: ") ? "; after that " : "; ";
    io.note(`${message}${when}\`opsctl queue sync\` delivers it`, "queued:");
  }
  const refused = failures.find(({ code }) => code === "auth");
  if (!refused) return undefined;
  return new OpsError({
    code: "auth",
    engine: refused.engine,
    message: `${refused.message}; the write is queued`,
    hint: `correct the credentials of ${refused.engine}, then run \`opsctl queue sync\``,
  });
}

export const NO_MASK = [
  "--no-mask",
  "store secrets (user info of URLs, Authorization headers, well-known tokens) as they are",
] as const;

/** Says on stderr what was not stored as it was given, by kind. */
export function reportMasked({ io }: Context, masked: Iterable<{ kind: string; count: number }>): void {
  const kinds = new Map<string, number>();
  for (const { kind, count } of masked) kinds.set(kind, count + (kinds.get(kind) ?? 0));
  if (kinds.size === 0) return;
  const counts = [...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ");
  io.note(`secrets were replaced before they were stored: ${counts} (--no-mask stores them)`, "masked:");
}
