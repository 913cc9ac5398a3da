/** Poses as the master of one server: whoever comes as its replica and knows the word gets one RDB file. */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import { RequestParser } from "./restore-requests.ts";

const CHUNK = 256 << 10;
/** Who has not said the word by then is sent away, ms. */
const GREETING_MS = 10_000;
/** Strangers at a time. */
const MAX_CONNECTIONS = 16;

/** What is served. */
export interface Offer {
  /** The file, and its size in bytes. */
  path: string;
  size: number;
  /** What the server must say with AUTH. */
  secret: string;
  /** Only from these addresses; undefined: from anywhere. */
  from: readonly string[] | undefined;
  /** Of the replication stream: as the server itself names its data, so that it goes on answering reads while it loads. */
  replid: string;
  offset: number;
}

export class PosedMaster {
  port = 0;
  /** Somebody came who may have it. */
  hasCome = false;
  /** Bytes of the file that were handed over. */
  sent = 0;
  /** Times that the file was begun: more than once, and the server did not like it. */
  begun = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #offer: Offer;
  readonly #call: Call;

  private constructor(server: Server, offer: Offer, call: Call) {
    this.#server = server;
    this.#offer = offer;
    this.#call = call;
    server.maxConnections = MAX_CONNECTIONS;
    server.on("connection", (socket) => this.#welcome(socket));
  }

  /** @param port 0: any @throws OpsError `failed`: it cannot listen there */
  static async listen(call: Call, host: string, port: number, offer: Offer): Promise<PosedMaster> {
    const server = createServer();
    const master = new PosedMaster(server, offer, call);
    await listening(server, host, port);
    master.port = (server.address() as { port: number }).port;
    // a server that cannot take a connection tells nobody: the replica does not come
    server.on("error", () => {});
    return master;
  }

  /** Ends all connections at once: a server that has not got all of the file by then keeps what it had. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) {
      // a reset of a socket that is being shut down is refused, and its handle keeps Node from ending (libuv, uv_tcp_close_reset)
      if (socket.writableEnded) socket.destroy();
      else socket.destroy();
    }
  }

  #welcome(socket: Socket): void {
    const { from } = this.#offer;
    const address = plainAddress(socket.remoteAddress ?? "");
    if (from !== undefined && !from.includes(address)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    const late = setTimeout(() => socket.destroy(), GREETING_MS);
    socket.on("close", () => clearTimeout(late));
    const guest = new RequestParser();
    let isKnown = false;
    socket.on("data", (chunk: Buffer) => {
      for (const words of guest.push(chunk) ?? [undefined]) {
        if (words === undefined) return socket.destroy();
        const name = words[0]!.toUpperCase();
        if (name === "AUTH") {
          isKnown = isSame(words.at(-1)!, this.#offer.secret);
          if (!isKnown) return void socket.end("-WRONGPASS it is not that\r\n");
          clearTimeout(late);
          this.hasCome = true;
          socket.write("+OK\r\n");
        } else if (name === "PING")
          socket.write(isKnown ? "+PONG\r\n" : "-NOAUTH Authentication required.\r\n");
        else if (!isKnown) socket.write("-NOAUTH Authentication required.\r\n");
        else if (name === "PSYNC" || name === "SYNC") void this.#send(socket, name === "PSYNC");
        else if (name !== "REPLCONF") socket.write("-ERR unknown command\r\n");
        else if (words[1]?.toUpperCase() !== "ACK") socket.write("+OK\r\n");
      }
    });
  }

  async #send(socket: Socket, isPartial: boolean): Promise<void> {
    const { path, size, replid, offset } = this.#offer;
    this.begun += 1;
    this.sent = 0;
    if (isPartial) socket.write(`+FULLRESYNC ${replid} ${offset}\r\n`);
    socket.write(`$${size}\r\n`);
    const count = (bytes: number) => {
      this.sent += bytes;
      this.#call.progress({ label: "redis", done: this.sent, total: size, unit: "bytes" });
    };
    try {
      await pipeline(
        createReadStream(path, { highWaterMark: CHUNK, end: size - 1 }),
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            count(chunk.length);
            yield chunk;
          }
        },
        socket,
        { end: false },
      );
    } catch {
      // it went away, or the file cannot be read: whoever waits for the server sees that it has not got all
      socket.destroy();
    }
  }
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw new OpsError({
      code: "failed",
      message: `this program cannot listen on ${host}:${port} for the Redis server (${(error as NodeJS.ErrnoException).code})`,
      hint: "name an address of this host and a free port: --listen HOST:PORT",
      engine: "redis",
      cause: error,
    });
  }
}

/** Whether this program can listen there: for a moment it does. @throws OpsError `failed` */
export async function tryListening(host: string, port: number): Promise<void> {
  const server = createServer();
  await listening(server, host, port);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}

/** A word that nobody guesses. */
export function newSecret(): string {
  return randomBytes(32).toString("hex");
}

/** An IPv4 address that comes by IPv6 as itself. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}

function isSame(said: string, secret: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(said)), Buffer.from(sha256(secret)));
}
