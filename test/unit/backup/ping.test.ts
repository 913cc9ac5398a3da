import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ping } from "../../../src/backup/ping.ts";
import { type Call, createCall } from "../../../src/call.ts";
import { freePort } from "../../support/servers.ts";

interface Seen {
  method: string | undefined;
  url: string | undefined;
  authorization: string | undefined;
  body: string;
}

let server: Server;
let origin: string;
let seen: Seen[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let log: string[];
let stop: AbortController;
let call: Call;
beforeEach(async () => {
  seen = [];
  log = [];
  stop = new AbortController();
  call = createCall({
    actor: "tester@host",
    signal: stop.signal,
    log: (level, message) => log.push(`${level} ${message}`),
  });
  answer = (_request, response) => response.end("OK");
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { method, url, headers } = request;
    seen.push({ method, url, authorization: headers.authorization, body });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const SECRET = "0b6c-secret";

test("GET without a text, POST with one", async () => {
  await ping(call, `${origin}/ping/${SECRET}?a=b`);
  await ping(call, `${origin}/ping/${SECRET}`, "20261121_030000.tar.gz complete");
  expect(seen).toMatchObject([
    { method: "GET", url: `/ping/${SECRET}?a=b`, body: "" },
    { method: "POST", url: `/ping/${SECRET}`, body: "20261121_030000.tar.gz complete" },
  ]);
  expect(log).toEqual([]);
});

test("user and password of the URL travel as a header", async () => {
  await ping(call, origin.replace("http://", "http://me:p%40ss@"));
  expect(seen[0]!.authorization).toBe(`Basic ${Buffer.from("me:p@ss").toString("base64")}`);
});

test("what fails once is tried again", async () => {
  answer = (_request, response) => {
    response.statusCode = seen.length === 1 ? 503 : 200;
    response.end();
  };
  await ping(call, `${origin}/${SECRET}`, "text");
  expect(seen.map(({ body }) => body)).toEqual(["text", "text"]);
  expect(log).toEqual([]);
});

test("a long text is cut", async () => {
  await ping(call, origin, "x".repeat(1_000_000));
  expect(seen[0]!.body).toHaveLength(10_000);
});

const failures: { what: string; url: () => string | Promise<string>; tries: number; says: RegExp }[] = [
  {
    what: "a server that says no",
    url: () => `${origin}/${SECRET}`,
    tries: 2,
    says: /the ping to http:\/\/127\.0\.0\.1:\d+ failed: it answered 404$/,
  },
  {
    what: "nobody there",
    url: async () => `http://127.0.0.1:${await freePort()}/${SECRET}`,
    tries: 0,
    says: /failed: ECONNREFUSED$/,
  },
  {
    what: "a server that hangs up",
    url: () => `${origin}/hang-up/${SECRET}`,
    tries: 2,
    says: /failed: (UND_ERR_SOCKET|ECONNRESET)$/,
  },
  { what: "what is no URL", url: () => `not a url ${SECRET}`, tries: 0, says: /a ping was not sent/ },
  { what: "another scheme", url: () => `file:///etc/${SECRET}`, tries: 0, says: /a ping was not sent/ },
];
test.each(failures)("$what: one warning, without what is secret", async ({ url, tries, says }) => {
  answer = ({ url: path }, response) => {
    if (path?.startsWith("/hang-up")) return response.destroy();
    response.statusCode = 404;
    response.end(SECRET);
  };
  await ping(call, await url(), "text");
  expect(seen).toHaveLength(tries);
  expect(log).toEqual([expect.stringMatching(/^WARNING /)]);
  expect(log[0]).toMatch(says);
  expect(log[0]).not.toContain(SECRET);
});

test("a server that never answers is left when the call ends", async () => {
  answer = () => stop.abort(new Error("over"));
  await ping(call, `${origin}/${SECRET}`);
  expect(seen).toHaveLength(1);
  expect(log).toEqual([
    expect.stringMatching(/^WARNING the ping to http:\/\/127.0.0.1:\d+ failed: the run is over$/),
  ]);
});
