/** Loopback ports for servers that nobody configured. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { ServerStartError } from "./process.ts";

/** Below the range from which the system takes ports of outgoing connections, so that none of those gets in between. */
const FIRST = 15_000;
const LAST = 32_000;

/** A port of 127.0.0.1 on which nothing listens at the moment. Throws after 50 taken ones. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(FIRST, LAST);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Calls `start` with `fixed`, or with free ports until one is not taken by somebody else in the meantime (5 times). */
export async function withPort<T>(
  fixed: number | undefined,
  start: (port: number) => Promise<T>,
): Promise<T> {
  if (fixed !== undefined) return start(fixed);
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt >= 5 || !(error instanceof ServerStartError && error.portTaken)) throw error;
    }
  }
}
