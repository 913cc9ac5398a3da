import { amountOf, infoOf, type RedisCheck, sets } from "./facts.ts";

export const clientsFull: RedisCheck = {
  id: "redis-clients",
  area: "redis",
  title: "connections nearly used up, or refused",
  looks: "INFO clients: connected_clients, maxclients; INFO stats: rejected_connections",
  async run(call, scope) {
    const info = await infoOf(call, scope);
    const [used, most] = [amountOf(info, "connected_clients"), amountOf(info, "maxclients")];
    const rejected = amountOf(info, "rejected_connections");
    const isFull = most > 0 && (used / most) * 100 >= scope.thresholds.connections;
    if (!isFull && rejected === 0) return [];
    return [
      {
        severity: isFull ? "warning" : "info",
        subject: `clients of ${scope.connection.at}`,
        evidence: `${used} of ${most} connections are in use; ${rejected} were refused since the start`,
        cause: isFull
          ? "At the limit the next client is refused; mostly a pool that never closes, or idle clients and timeout 0."
          : "At some time the limit was reached, and clients were refused.",
        remedies: isFull ? sets(info, "maxclients", String(most * 2)) : [],
        advice: `opsctl query redis "CLIENT LIST" shows who they are; CONFIG SET timeout 300 closes idle ones`,
      },
    ];
  },
};
