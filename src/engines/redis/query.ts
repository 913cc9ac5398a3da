import type { Call } from "../../call.ts";
import { OpsError, usageError } from "../../errors.ts";
import type { QueryTarget } from "../../query/port.ts";
import type { Command } from "./client.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { StatementProblem, wordsOf } from "./migration-words.ts";
import { guardCommand, holdsSecrets, type Line, lineOf } from "./query-guard.ts";
import { refuseHuge } from "./query-huge.ts";
import { resultOf } from "./query-rows.ts";

/** One command line in redis-cli's grammar (`SET k "a b"`), sent through the driver. */
export function redisQuery(connection: RedisConnection): QueryTarget {
  return {
    async query(call, text, { write, explain, limit }) {
      if (explain) {
        throw usageError(
          "Redis has no plans: --explain does not apply",
          "SLOWLOG GET and LATENCY DOCTOR tell what was slow",
        );
      }
      const line = parse(text);
      await guardCommand(call, connection, line, write);
      await refuseHuge(call, connection, line);
      const exact = connection.exact();
      try {
        return resultOf(line, await send(call, exact, line, write), limit);
      } finally {
        await exact.close();
      }
    },
  };
}

/** @throws OpsError `usage`: nothing, several lines, quotes that do not balance */
function parse(text: string): Line {
  const line = text.trim();
  if (/[\r\n]/.test(line)) {
    throw usageError("these are several lines: Redis takes one command at a time", "run one after another");
  }
  try {
    const words = wordsOf(line);
    if (words.length === 0) throw usageError("the statement is empty", 'for example "HGETALL session:42"');
    return lineOf(words);
  } catch (error) {
    if (!(error instanceof StatementProblem)) throw error;
    throw usageError(`character ${error.offset + 1}: ${error.message}`, error.hint);
  }
}

async function send(call: Call, connection: RedisConnection, line: Line, writes: boolean): Promise<unknown> {
  const command: Command = [line.name, ...line.args];
  const words = line.sub === undefined ? 1 : 2;
  const [reply] = await connection.batch(call, [command], {
    writes,
    words,
    quotes: !holdsSecrets(line.name),
  });
  if (!(reply instanceof RedisRefusal)) return reply;
  if (reply.reply === "NOPERM") {
    throw new OpsError({
      code: "auth",
      engine: "redis",
      message: `${reply.message} (NOPERM)`,
      hint: "an administrator allows a command with ACL SETUSER <user> +<command>, a key with ~<pattern>",
    });
  }
  throw reply;
}
