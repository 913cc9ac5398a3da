/** Who answers at a port, asked in the words of each protocol. Nothing is sent that a server would act on. */
import { connect, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import { bounded } from "../../bounded.ts";
import type { EngineName } from "../../errors.ts";

export interface Place {
  host: string;
  port: number;
  /** Path of a Unix socket instead of both. */
  socket: string | null;
}

/** `silent`: it takes connections and says nothing; `unknown`: it says something else, or hangs up. */
export type Speaks = EngineName | "http" | "ssh" | "silent" | "unknown";

/** For one question, ms. */
const LIMIT_MS = 1_500;

interface Greeting {
  speaks: Speaks;
  bytes: Buffer;
  isAnswer(text: string): boolean;
}

const REDIS = /^(\+PONG|-(NOAUTH|DENIED|LOADING|BUSY|MASTERDOWN|NOPERM|ERR) )/;

/** Redis: an inline PING. PostgreSQL: SSLRequest. Bolt: its magic and four versions. */
const GREETINGS: readonly Greeting[] = [
  { speaks: "redis", bytes: Buffer.from("PING\r\n"), isAnswer: (text) => REDIS.test(text) },
  {
    speaks: "postgres",
    bytes: Buffer.from("0000000804d2162f", "hex"),
    isAnswer: (text) => text === "S" || text === "N",
  },
  {
    speaks: "neo4j",
    bytes: Buffer.from("6060b01700080805000204040000000000000000", "hex"),
    isAnswer: (text) => text.length >= 4 && text.charCodeAt(0) === 0 && text.charCodeAt(3) < 0x20,
  },
  {
    speaks: "http",
    bytes: Buffer.from("HEAD / HTTP/1.0\r\n\r\n"),
    isAnswer: (text) => text.startsWith("HTTP/"),
  },
];

/** What a port speaks that takes connections. */
export async function speakerAt(place: Place): Promise<Speaks> {
  const answers = await Promise.all(GREETINGS.map(({ bytes }) => said(openSocket(place), bytes)));
  const known = GREETINGS.find(({ isAnswer }, at) => isAnswer(answers[at] ?? ""));
  if (known) return known.speaks;
  if (answers.some((text) => text?.startsWith("SSH-"))) return "ssh";
  return answers.every((text) => text === null) ? "silent" : "unknown";
}

function openSocket({ host, port, socket }: Place): Socket {
  return socket === null ? connect({ host, port, autoSelectFamily: true }) : connect(socket);
}

/** The first bytes of an answer as Latin-1; empty: it hung up; null: it said nothing in time. */
async function said(socket: Socket, bytes: Buffer): Promise<string | null> {
  const answer = new Promise<string>((resolve) => {
    socket.on("error", () => resolve(""));
    socket.on("close", () => resolve(""));
    socket.once("data", (chunk: Buffer) => resolve(chunk.toString("latin1")));
  });
  socket.write(bytes);
  try {
    return await bounded(answer, LIMIT_MS);
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

/** How a connection is refused: `ECONNREFUSED`, `EHOSTUNREACH`, `ETIMEDOUT` (also for none in time); null: it is taken. */
export async function refusalAt(place: Place): Promise<string | null> {
  const socket = openSocket(place);
  const taken = new Promise<string | null>((resolve) => {
    socket.once("connect", () => resolve(null));
    socket.on("error", (error: NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] }) =>
      resolve(error.code ?? error.errors?.[0]?.code ?? "unknown error"),
    );
  });
  try {
    return await bounded(taken, LIMIT_MS);
  } catch {
    return "ETIMEDOUT";
  } finally {
    socket.destroy();
  }
}

/** The certificate that a server shows. */
export interface Certificate {
  /** Its names, `DNS:db.example, IP Address:10.0.0.1`, or its subject. */
  names: string;
  issuer: string;
  isSelfSigned: boolean;
  /** ms */
  from: number;
  until: number;
  /** It is for the host of the URL. */
  isForHost: boolean;
}

/** @param negotiates PostgreSQL's way: TLS begins when the server says so. @returns null: no TLS was agreed on */
export async function certificateAt(place: Place, negotiates: boolean): Promise<Certificate | null> {
  const socket = openSocket(place);
  try {
    return await bounded(handshake(socket, place, negotiates), LIMIT_MS);
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

async function handshake(socket: Socket, { host }: Place, negotiates: boolean): Promise<Certificate | null> {
  const { promise, resolve, reject } = Promise.withResolvers<Certificate | null>();
  socket.on("error", reject);
  const begin = () => {
    // whatever it shows is looked at, nothing is sent to it
    const tls = connectTls({
      socket,
      servername: isIP(host) ? "" : host,
      rejectUnauthorized: false,
    });
    tls.on("error", reject);
    tls.once("secureConnect", () => {
      const shown = tls.getPeerCertificate();
      resolve({
        names: shown.subjectaltname ?? String(shown.subject?.CN ?? "nobody"),
        issuer: String(shown.issuer?.CN ?? shown.issuer?.O ?? "unknown"),
        isSelfSigned: JSON.stringify(shown.issuer) === JSON.stringify(shown.subject),
        from: Date.parse(shown.valid_from),
        until: Date.parse(shown.valid_to),
        isForHost: checkServerIdentity(host, shown) === undefined,
      });
      tls.destroy();
    });
  };
  socket.once("connect", () => {
    if (!negotiates) return begin();
    socket.write(Buffer.from("0000000804d2162f", "hex"));
    socket.once("data", (chunk: Buffer) => (chunk.toString("latin1") === "S" ? begin() : resolve(null)));
  });
  return promise;
}
