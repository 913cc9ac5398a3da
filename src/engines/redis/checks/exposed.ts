import { infoOf, type RedisCheck, sets, settingsOf } from "./facts.ts";
import { reachOf } from "./reach.ts";

export const exposed: RedisCheck = {
  id: "redis-exposed",
  area: "redis",
  title: "it listens on all addresses",
  looks: "CONFIG GET bind, protected-mode",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    // asked for by itself, so that a refusal is said
    await settingsOf(call, scope, "bind");
    const { bind, protectedMode, isOpen, isContained } = await reachOf(call, scope, info);
    const isAll = bind === "" || /(^| )-?(\*|0\.0\.0\.0|::\*?)( |$)/.test(bind);
    if (!isOpen || !isAll) return [];
    return [
      {
        // in a container it must; what is published decides
        severity: isContained ? "info" : "warning",
        subject: `bind of ${scope.connection.at}`,
        evidence: `bind "${bind}", protected-mode ${protectedMode ? "yes" : "no"}`,
        cause: isContained
          ? "In a container that is usual: the published port decides who reaches it."
          : "Every network of the host reaches the port, and only the password stands before the data.",
        remedies: isContained ? [] : sets(info, "bind", "127.0.0.1 -::1"),
        advice: isContained
          ? "publish the port as 127.0.0.1:6379:6379"
          : "where clients of other hosts need it: name the one address they come through, and use TLS",
      },
    ];
  },
};
