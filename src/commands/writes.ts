import { OpsError } from "../errors.ts";
import type { Written } from "../memory/stores.ts";
import type { Context } from "./command.ts";

/**
 * Says on stderr why a write waits. Refused credentials will not mend themselves: the write stays queued and the command fails with 21.
 */
export function reportQueued({ io }: Context, { failures }: Written): OpsError | undefined {
  for (const { message } of failures) {
    io.note(`${message}; \`opsctl queue sync\` delivers it`, "queued:");
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
