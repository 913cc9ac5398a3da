/**
 * The first bytes of Bolt on a socket of our own, before the driver makes one. Two reasons: the driver has no
 * timeout for the handshake and keeps such a socket (and with it the process) for as long as a frozen server
 * lives, `driver.close()` included; and it hides why a connection failed (DNS, TLS, another protocol) in one
 * sentence for all.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { bounded, NoAnswer } from "../../bounded.ts";
import { OpsError } from "../../errors.ts";
import { isTlsFailure, type Place, unreachable } from "./errors.ts";

/** Magic, then the versions we could speak: 5.8 down to 5.0, 4.4 down to 4.2 (Bolt protocol, "Handshake"). */
const GREETING = Buffer.from("6060b01700080805000204040000000000000000", "hex");

/**
 * Resolves when something that speaks Bolt has answered.
 * @param ms for name resolution, connection, TLS and answer together
 * @throws OpsError `unreachable`; the signal's error on abort
 */
export async function greet(place: Place, ms: number, signal: AbortSignal): Promise<void> {
  const socket = openSocket(place);
  try {
    checkAnswer(await bounded(answerOf(socket, place), ms, signal), place);
  } catch (error) {
    if (error instanceof OpsError) throw error;
    if (error instanceof NoAnswer) {
      const what = place.tls ? "the TLS or Bolt handshake" : "the Bolt handshake";
      throw unreachable(place, `did not answer ${what} within ${error.ms} ms`, undefined, error);
    }
    throw connectError(error as NodeJS.ErrnoException, place);
  } finally {
    socket.destroy();
  }
}

/** Opens a connection; its errors come as events. */
export function openSocket({ host, port, tls, trustAll }: Place): Socket {
  // fails quickly on one dead address of a name with several
  const options = { host, port, autoSelectFamily: true };
  if (!tls) return connect(options);
  // an address is no server name (RFC 6066)
  const servername = isIP(host) ? undefined : host;
  return connectTls({ ...options, servername, rejectUnauthorized: !trustAll });
}

function answerOf(socket: Socket, place: Place): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length >= 4) resolve(answer);
    });
    socket.on("close", () => reject(closedWithoutAnswer(place)));
    socket.once(place.tls ? "secureConnect" : "connect", () => socket.write(GREETING));
  });
}

function closedWithoutAnswer(place: Place): OpsError {
  const hint = place.tls ? undefined : "if the server requires TLS, use bolt+s:// or neo4j+s://";
  return unreachable(place, "closed the connection without an answer", hint);
}

function checkAnswer(answer: Buffer, place: Place): void {
  if (answer.toString("latin1", 0, 4) === "HTTP") {
    throw unreachable(place, "speaks HTTP, not Bolt", "use the Bolt port, 7687 unless it was changed");
  }
  // 00, range, minor, major; all zeros (no common version) is left to the driver, which says it better
  const isVersion = answer[0] === 0 && answer[3]! < 0x20;
  if (!isVersion) throw unreachable(place, "does not speak Bolt", "check host and port of NEO4J_URI");
}

function connectError(error: NodeJS.ErrnoException, place: Place): OpsError {
  const code = error.code ?? "unknown error";
  if (!isTlsFailure(code, place)) return unreachable(place, `cannot be reached (${code})`, undefined, error);
  const hint =
    code.includes("SSL") || code === "ECONNRESET"
      ? "does the server have TLS on this port? Without it use bolt://"
      : "use the name in the certificate and set NODE_EXTRA_CA_CERTS, or trust any with bolt+ssc://";
  return unreachable(place, `failed the TLS handshake (${code})`, hint, error);
}
