import { ask, type PostgresCheck, toSet } from "./kit.ts";

export const slowLog: PostgresCheck = {
  id: "postgres-slow-log",
  area: "postgres",
  title: "slow statements are not logged",
  looks: "log_min_duration_statement",
  async run(call, scope) {
    const [row] = await ask<{ value: string }>(
      call,
      scope,
      "SELECT current_setting('log_min_duration_statement') AS value",
    );
    if (row!.value !== "-1") return [];
    return [
      {
        severity: "info",
        subject: "log_min_duration_statement",
        evidence: "-1: no statement is logged for its duration",
        cause: "when something was slow last night, nobody can say what it was",
        ...(await toSet(call, scope, "log_min_duration_statement", "1s")),
      },
    ];
  },
};
