import { bytes } from "../../../amounts.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { allowed, type RedisCheck, sends } from "./facts.ts";

/** Findings at most: one reader that hangs seldom comes alone. */
const MOST = 5;

export const clientBuffers: RedisCheck = {
  id: "redis-client-buffers",
  area: "redis",
  title: "a client does not read its answers",
  looks: "CLIENT LIST: omem",
  async run(call, scope) {
    const list = await allowed(scope, "+client|list", () =>
      scope.connection.run(call, ["CLIENT", "LIST"], { words: 2 }),
    );
    return clientsOf(String(list))
      .filter(({ flags, waiting }) => waiting >= Math.max(1, scope.thresholds.large) && !/[SM]/.test(flags))
      .sort((a, b) => b.waiting - a.waiting)
      .slice(0, MOST)
      .map(
        ({ id, addr, age, cmd, waiting }): Found => ({
          severity: "warning",
          subject: `client ${id} from ${addr}`,
          evidence: `${bytes(waiting)} of answers wait for it; last command ${cmd}, connected for ${age} s`,
          cause: "Its answers stay in the server's memory, which may reach its limit by that alone.",
          remedies: [sends(`CLIENT KILL ID ${id}`, false)],
          advice: "look why it hangs; client-output-buffer-limit normal ends such clients by itself",
        }),
      );
  },
};

function clientsOf(list: string) {
  return list
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const field = (name: string) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(line)?.[1] ?? "";
      return {
        id: field("id"),
        addr: field("addr"),
        age: field("age"),
        cmd: field("cmd"),
        flags: field("flags"),
        waiting: Number(field("omem")),
      };
    });
}
