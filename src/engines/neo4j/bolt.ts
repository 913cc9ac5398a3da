/**
 * Bolt without the driver, for exports and restores: records are handed out as the bytes they came in, and parameters are sent as bytes.
 * Decoding records into objects and those into JSON is what an export with the driver spends its time on. One connection, direct (no routing). Bolt 5,
 * that is Neo4j 5 and newer.
 */
import type { Socket } from "node:net";
import { bounded } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { Frames } from "./bolt-frames.ts";
import { type Packable, type PackableMap, type Packed, packMessage, packPieces } from "./bolt-pack.ts";
import { Cursor, Malformed, type Unpacked, unpack } from "./bolt-unpack.ts";
import { failure, neo4jError, type Place } from "./errors.ts";
import { greet, openSocket } from "./greet.ts";
import { placeOf } from "./pool.ts";

/** Magic, then the versions we speak: 5.8 down to 5.0 (Bolt protocol, "Handshake"). */
const GREETING = Buffer.from("6060b01700080805000000000000000000000000", "hex");
/** Neo4j's word for: as long as it takes, whatever the server's configuration says. */
const NO_TIMEOUT = 0;
const HELLO = 0x01;
const GOODBYE = 0x02;
const RUN = 0x10;
const BEGIN = 0x11;
const COMMIT = 0x12;
const ROLLBACK = 0x13;
const PULL = 0x3f;
const LOGON = 0x6a;
const SUCCESS = 0x70;
const RECORD = 0x71;
const FAILURE = 0x7f;

/** What a server refused, or the loss of the connection, in the shape of the driver's errors, which `neo4jError` knows. */
export class BoltFailure extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
    this.retryable = code.startsWith("Neo.TransientError.");
  }
}

export interface TransactionOptions {
  mode: "r" | "w";
  /** It begins when these have happened, as far as they can be seen. */
  bookmarks?: readonly string[];
}

export class Bolt {
  readonly place: Place;
  /** `5.26.30` */
  serverVersion = "unknown";
  /** Aborted, every answer fails. */
  call: Call;
  readonly #origin: Origin;
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #frames = new Frames();
  readonly #cursor = new Cursor();

  /**
   * Connects and logs in, within the limit for connecting.
   * @throws OpsError `unreachable`, `auth`
   */
  static async open(call: Call, origin: Origin): Promise<Bolt> {
    const place = placeOf(origin.target);
    // says why when nobody answers there
    await greet(place, origin.limits.connectMs, call.signal);
    const bolt = new Bolt(call, place, origin);
    try {
      await bounded(bolt.#login(), origin.limits.connectMs, call.signal);
      return bolt;
    } catch (error) {
      bolt.destroy();
      throw bolt.#explained(error);
    }
  }

  private constructor(call: Call, place: Place, origin: Origin) {
    this.call = call;
    this.place = place;
    this.#origin = origin;
    this.#socket = openSocket(place);
    this.#socket.setNoDelay(true);
    // whoever waits for an answer is told by the iterator
    this.#socket.on("error", () => {});
    this.#chunks = this.#socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  begin({ mode, bookmarks = [] }: TransactionOptions): Promise<void> {
    const { database } = this.#origin.target;
    const extra = {
      mode,
      bookmarks,
      tx_timeout: NO_TIMEOUT,
      ...(database ? { db: database } : {}),
    };
    return this.#asked(async () => {
      this.#send(BEGIN, extra);
      await this.#success();
    });
  }

  /** Ends the transaction. @returns its bookmark: the newest transaction that is committed; null when the server gives none */
  commit(): Promise<string | null> {
    return this.#asked(async () => {
      this.#send(COMMIT);
      const bookmark = (await this.#success()).get("bookmark");
      return typeof bookmark === "string" ? bookmark : null;
    });
  }

  rollback(): Promise<void> {
    return this.#asked(async () => {
      this.#send(ROLLBACK);
      await this.#success();
    });
  }

  /** All rows of a query with few of them, in the transaction that is open. */
  async rows(query: string, params: PackableMap = {}): Promise<Unpacked[][]> {
    const rows: Unpacked[][] = [];
    await this.records(query, params, (cursor) => {
      rows.push(unpack(cursor) as Unpacked[]);
      return undefined;
    });
    return rows;
  }

  /**
   * Hands out the records of a query as they come: `take` gets each with the cursor at its list of values, and reads it to its end. When it
   * returns a promise, nothing is read meanwhile: the server waits.
   */
  records(
    query: string,
    params: PackableMap,
    take: (record: Cursor) => Promise<void> | undefined,
  ): Promise<void> {
    return this.#asked(async () => {
      this.#send(RUN, query, params, {});
      this.#send(PULL, { n: -1 });
      await this.#recordsOf(take);
    });
  }

  /**
   * Sends a query that writes, in a transaction of its own. Several may be on their way: `answer` reads what came of them, in their order.
   * @param params are not copied: they must stay as they are until then
   * @param metadata of the transaction, by which it can be found
   */
  ask(query: string, params: Packed, metadata: PackableMap): void {
    const { database } = this.#origin.target;
    const extra = {
      mode: "w",
      tx_timeout: NO_TIMEOUT,
      tx_metadata: metadata,
      ...(database ? { db: database } : {}),
    };
    this.#socket.cork();
    for (const piece of packPieces(RUN, [query, params, extra])) this.#socket.write(piece);
    this.#send(PULL, { n: -1 });
    this.#socket.uncork();
  }

  /** What the oldest query of `ask` came to, whose answer was not read yet. When it resolves, it is committed. */
  answer(take: (record: Cursor) => void): Promise<void> {
    return this.#asked(() =>
      this.#recordsOf((record) => {
        take(record);
        return undefined;
      }),
    );
  }

  /** Ends the connection; with it the server rolls back what is open. */
  destroy(): void {
    this.#socket.destroy();
  }

  close(): void {
    if (this.#socket.destroyed) return;
    this.#send(GOODBYE);
    this.#socket.destroySoon();
  }

  async #login(): Promise<void> {
    this.#socket.write(GREETING);
    const minor = await this.#agreedMinor();
    const { username = "neo4j", password } = this.#origin.target;
    const auth: PackableMap =
      password === undefined
        ? { scheme: "none" }
        : { scheme: "basic", principal: username, credentials: password };
    const product: PackableMap = { user_agent: "opsctl", bolt_agent: { product: "opsctl" } };
    const quiet: PackableMap = minor >= 2 ? { notifications_minimum_severity: "OFF" } : {};
    this.#send(HELLO, minor === 0 ? { ...product, ...auth } : { ...product, ...quiet });
    const server = (await this.#success()).get("server");
    if (typeof server === "string") this.serverVersion = server.replace(/^Neo4j\//, "");
    if (minor === 0) return;
    this.#send(LOGON, auth);
    await this.#success();
  }

  async #agreedMinor(): Promise<number> {
    let answer = Buffer.alloc(0);
    while (answer.length < 4) answer = Buffer.concat([answer, await this.#chunk()]);
    if (answer.readUInt16BE(0) === 0 && answer[3] === 5 && answer.length === 4) return answer[2]!;
    throw failure(
      "failed",
      this.place,
      "does not speak Bolt 5",
      "exports and restores need Neo4j 5 or newer",
    );
  }

  #send(tag: number, ...fields: Packable[]): void {
    this.#socket.write(packMessage(tag, fields));
  }

  /** The answer to RUN, the records, and the answer to PULL. */
  async #recordsOf(take: (record: Cursor) => Promise<void> | undefined): Promise<void> {
    await this.#success();
    for (;;) {
      await this.#message();
      if (this.#tag() !== RECORD) break;
      const cursor = this.#cursor;
      cursor.at += 2;
      const busy = take(cursor);
      if (cursor.at !== cursor.end) throw new Malformed("a record is longer than its values");
      if (busy) await busy;
    }
    this.#answer();
  }

  async #success(): Promise<Map<string, Unpacked>> {
    await this.#message();
    return this.#answer();
  }

  /** What the message says that is no record. */
  #answer(): Map<string, Unpacked> {
    const tag = this.#tag();
    const cursor = this.#cursor;
    cursor.at += 2;
    const content = unpack(cursor);
    if (!(content instanceof Map) || cursor.at !== cursor.end)
      throw new Malformed("an answer without content");
    if (tag === SUCCESS) return content;
    if (tag !== FAILURE) throw new Malformed(`an answer of kind ${tag.toString(16)}`);
    const text = (name: string) => String(content.get(name) ?? "");
    throw new BoltFailure(text("neo4j_code") || text("code"), text("message"));
  }

  /** Puts the cursor on the next message. */
  async #message(): Promise<void> {
    const frames = this.#frames;
    while (!frames.next()) frames.push(await this.#chunk());
    this.#cursor.set(frames.bytes, frames.start, frames.end);
  }

  #tag(): number {
    const { bytes, at, end } = this.#cursor;
    // every answer is a structure of one field
    if (end - at < 3 || bytes[at] !== 0xb1) throw new Malformed("a message that is no answer");
    return bytes[at + 1]!;
  }

  async #chunk(): Promise<Buffer> {
    let next: IteratorResult<Buffer>;
    try {
      next = await bounded(this.#chunks.next(), this.#origin.limits.queryMs, this.call.signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined || error instanceof OpsError) throw error;
      throw lost((error as NodeJS.ErrnoException).code as string);
    }
    if (next.done) throw lost("it was closed");
    return next.value;
  }

  /** A request that fails ends the connection: what comes after it would be the answer to something else. */
  async #asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.destroy();
      throw this.#explained(error);
    }
  }

  #explained(error: unknown): OpsError {
    if (error instanceof Malformed || error instanceof RangeError) {
      return failure(
        "failed",
        this.place,
        `sent an answer that is not as Bolt says: ${error.message}`,
        undefined,
        error,
      );
    }
    return neo4jError(error, { place: this.place, outcomeUnknown: false });
  }
}

function lost(why: string): BoltFailure {
  return new BoltFailure("ServiceUnavailable", why);
}
