/** A TCP proxy that misbehaves on demand, in the vocabulary of Toxiproxy. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface TestProxy {
  /** The port of 127.0.0.1 to connect to; it stays the same over down() and up(). */
  readonly port: number;
  /** Open client connections. */
  readonly connections: number;
  /** Client connections since the start. */
  readonly accepted: number;
  /** Refuses new connections and closes those that are open. */
  down(): Promise<void>;
  /** Takes connections again and takes back every fault below, for open connections too. */
  up(): Promise<void>;
  /** Replies arrive `ms` later. */
  latency(ms: number): void;
  /** Accepts and reads, but forwards nothing in either direction. */
  timeout(): void;
  /** Ends open and new connections with RST. */
  resetPeer(): void;
  /** Replies arrive in pieces of `bytes`. */
  slicer(bytes: number): void;
  /** Closes a connection after `bytes` more bytes of replies on it. */
  limitData(bytes: number): void;
  /**
   * Requests get through, replies do not: what a lost commit reply looks like. With `match`, a connection's replies
   * are dropped from the first chunk on, request or reply, for which it returns true. The connection stays open
   * unless `close` is set: then it ends in place of the first dropped reply.
   */
  dropReplies(
    match?: (chunk: Buffer, from: "client" | "server") => boolean,
    options?: { close?: boolean },
  ): void;
  /** Ends the proxy and its connections. */
  close(): Promise<void>;
}

interface Faults {
  latencyMs?: number;
  silent?: boolean;
  reset?: boolean;
  sliceBytes?: number;
  limitBytes?: number;
  drop?: { match: (chunk: Buffer, from: "client" | "server") => boolean; close: boolean };
}

interface Link {
  client: Socket;
  upstream: Socket;
  /** Bytes of replies since limitData(). */
  replied: number;
  /** Set once dropReplies() has begun to act on this connection. */
  dropping: boolean;
}

const MAX_QUEUED_BYTES = 1 << 20;

/** Starts a proxy on a free loopback port in front of `target`. */
export async function startProxy({ target }: { target: { host: string; port: number } }): Promise<TestProxy> {
  const links = new Set<Link>();
  let faults: Faults = {};
  let accepted = 0;

  const accept = (client: Socket) => {
    accepted++;
    const link: Link = { client, upstream: connect(target), replied: 0, dropping: false };
    links.add(link);
    for (const socket of [client, link.upstream]) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => closeLink(link));
    }
    pump(client, link.upstream, (chunk) => forwardRequest(link, chunk));
    pump(link.upstream, client, (chunk, due) => forwardReply(link, chunk, due));
    if (faults.reset) resetLink(link);
  };

  const closeLink = (link: Link) => {
    links.delete(link);
    link.client.destroy();
    link.upstream.destroy();
  };

  const resetLink = (link: Link) => {
    link.client.resetAndDestroy();
    closeLink(link);
  };

  const startsDropping = (link: Link, chunk: Buffer, from: "client" | "server") => {
    link.dropping ||= faults.drop?.match(chunk, from) ?? false;
    return link.dropping;
  };

  const forwardRequest = async (link: Link, chunk: Buffer) => {
    if (faults.silent) return;
    startsDropping(link, chunk, "client");
    await write(link.upstream, chunk);
  };

  const forwardReply = async (link: Link, chunk: Buffer, receivedAt: number) => {
    if (faults.latencyMs) await sleep(Math.max(0, receivedAt + faults.latencyMs - Date.now()));
    if (faults.silent) return;
    if (startsDropping(link, chunk, "server")) {
      if (faults.drop?.close) resetLink(link);
      return;
    }
    const room = faults.limitBytes === undefined ? chunk.length : faults.limitBytes - link.replied;
    link.replied += chunk.length;
    await writeSliced(link.client, chunk.subarray(0, Math.max(0, room)), faults.sliceBytes);
    if (room <= chunk.length && faults.limitBytes !== undefined) link.client.end(() => closeLink(link));
  };

  let server = await listen(0, accept);
  const { port } = server.address() as { port: number };
  const down = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const link of links) closeLink(link);
    await closed;
  };

  return {
    port,
    get connections() {
      return links.size;
    },
    get accepted() {
      return accepted;
    },
    down,
    async up() {
      faults = {};
      for (const link of links) link.dropping = false;
      if (!server.listening) server = await listen(port, accept);
    },
    latency: (ms) => {
      faults.latencyMs = ms;
    },
    timeout: () => {
      faults.silent = true;
    },
    resetPeer: () => {
      faults.reset = true;
      for (const link of links) resetLink(link);
    },
    slicer: (bytes) => {
      faults.sliceBytes = bytes;
    },
    limitData: (bytes) => {
      faults.limitBytes = bytes;
      for (const link of links) link.replied = 0;
    },
    dropReplies: (match = () => true, { close = false } = {}) => {
      faults.drop = { match, close };
    },
    close: down,
  };
}

/** Hands chunks on in their order; reading pauses while too much waits. */
function pump(from: Socket, to: Socket, forward: (chunk: Buffer, receivedAt: number) => Promise<void>): void {
  let queue = Promise.resolve();
  let queued = 0;
  from.on("data", (chunk: Buffer) => {
    const receivedAt = Date.now();
    queued += chunk.length;
    if (queued > MAX_QUEUED_BYTES) from.pause();
    queue = queue.then(async () => {
      await forward(chunk, receivedAt);
      queued -= chunk.length;
      if (queued <= MAX_QUEUED_BYTES) from.resume();
    });
  });
  from.on("end", () => {
    queue = queue.then(() => void to.end());
  });
}

function write(socket: Socket, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || socket.writableEnded) return resolve();
    socket.write(chunk, () => resolve());
  });
}

async function writeSliced(socket: Socket, chunk: Buffer, sliceBytes = chunk.length): Promise<void> {
  for (let start = 0; start < chunk.length; start += sliceBytes) {
    await write(socket, chunk.subarray(start, start + sliceBytes));
    // Leaves the kernel no reason to put the pieces together again.
    if (sliceBytes < chunk.length) await sleep(1);
  }
}

function listen(port: number, accept: (client: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
