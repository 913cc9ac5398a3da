/** Counts how often a program waits for a server: what a network would multiply, and what no other load on the machine changes. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { run } from "../../../services/shell.ts";
import type { Program } from "../processes.ts";

/**
 * Runs the program that `make` makes for the address of a proxy before the server.
 * @returns how often it sent something after the server had answered, over all its connections, their start included
 */
export async function countRoundTrips(server: URL, make: (proxied: URL) => Program): Promise<number> {
  let count = 0;
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname);
    let isAsking = false;
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => socket.destroy()));
    client.on("data", () => {
      if (!isAsking) count += 1;
      isAsking = true;
    });
    upstream.on("data", () => {
      isAsking = false;
    });
    client.pipe(upstream).pipe(client);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const proxied = new URL(server);
  proxied.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { command, args, env, cwd } = make(proxied);
  try {
    const { code, stderr } = await run(command, [...args], { env, cwd });
    if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${stderr}`);
    return count;
  } finally {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  }
}
