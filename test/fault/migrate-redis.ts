import { Redis } from "ioredis";
import { type Sandbox, until } from "../support/cli.ts";
import {
  countMarks,
  type Marked,
  type MarkedFile,
  numbers,
  type Subject,
  versionOf,
  writeFiles,
} from "./migrate-subject.ts";

/** Pushed twice it is there twice. */
function push(mark: string): Marked {
  return { text: `RPUSH ledger "${mark}"`, adds: mark };
}

/** Marks: the values of the list `ledger`, and the keys `key:…`. */
const REDIS_FILES: readonly MarkedFile[] = numbers().map((number) => {
  const version = versionOf(number);
  const key = `key:${version}`;
  const up = [push(`${version} first`), { text: `SET ${key} "a b"`, adds: key }, push(`${version} last`)];
  if (number % 5 === 0) up.push({ text: "FOR EACH KEY MATCHING key:* DO EXPIRE {key} 86400" });
  if (number % 5 === 1) up.push({ text: `CONFIG SET hash-max-listpack-entries ${number + 100}` });
  return { version, up, down: [push(`${version} down`), { text: `DEL ${key}`, removes: key }] };
});

/** The server is the test's own: its history is the server's. */
export async function redisSubject(box: Sandbox, server: { url: string }): Promise<Subject> {
  writeFiles(box, "redis", REDIS_FILES);
  const ask = <T>(work: (client: Redis) => Promise<T>) => withClient(server.url, work);
  return {
    engine: "redis",
    files: REDIS_FILES,
    env: { REDIS_URL: server.url },
    target: ["redis"],
    marks: () =>
      ask(async (client) =>
        countMarks([...(await client.lrange("ledger", 0, -1)), ...(await client.keys("key:*"))]),
      ),
    async settle() {
      await until("the killed client's connections are gone", () =>
        ask(async (client) => {
          const list = (await client.client("LIST")) as string;
          return list.trim().split("\n").length === 1;
        }),
      );
    },
    async drop() {
      await ask(async (client) => {
        await client.flushall();
        await client.call("FUNCTION", "FLUSH");
      });
    },
  };
}

export async function withClient<T>(url: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 3, protocol: 2 });
  client.on("error", () => {});
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
