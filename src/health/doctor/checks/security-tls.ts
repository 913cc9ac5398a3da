import type { Target } from "../../../config/targets.ts";
import type { Check } from "../check.ts";
import { hostOf, isLocal, servers } from "../places.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";

export const securityTlsOff: Check<StackScope> = {
  id: "security-tls-off",
  area: "stack",
  title: "a connection over the network can be read or taken over",
  looks: "scheme and sslmode of the URLs of servers beyond loopback",
  run: async (_call, scope) =>
    servers(scope).flatMap((target) => {
      const way = isLocal(target) ? undefined : weakWay(target);
      if (way === undefined) return [];
      return [
        {
          severity: way.isPlain ? ("warning" as const) : ("info" as const),
          subject: `${TITLES[target.engine]} at ${hostOf(target)}`,
          evidence: way.evidence,
          cause: way.isPlain
            ? "password and data cross the network as plain text"
            : "nothing proves that it is this server that answers: whoever sits between can read and change everything",
          remedies: [],
          advice: way.advice,
        },
      ];
    }),
};

interface Way {
  /** Not encrypted at all; else the certificate is not verified. */
  isPlain: boolean;
  evidence: string;
  advice: string;
}

/** Undefined: encrypted, and the server's certificate is verified. */
function weakWay({ engine, url }: Target): Way | undefined {
  const { protocol, searchParams } = new URL(url);
  if (engine === "postgres") return postgresWay(searchParams.get("sslmode"));
  if (engine === "redis" && protocol === "redis:") {
    return {
      isPlain: true,
      evidence: "the scheme of its URL is redis://",
      advice:
        "set tls-port, tls-cert-file and tls-key-file in redis.conf, restart it, and use rediss:// in REDIS_URL",
    };
  }
  if (engine !== "neo4j" || protocol.endsWith("+s:")) return undefined;
  const scheme = protocol.replace(/(\+ssc)?:$/, "");
  const isPlain = !protocol.endsWith("+ssc:");
  return {
    isPlain,
    evidence: `the scheme of its URL is ${protocol}//${isPlain ? "" : ", which takes any certificate"}`,
    advice: `${isPlain ? "set server.bolt.tls_level=REQUIRED and dbms.ssl.policy.bolt.* in neo4j.conf, restart it, and" : "give it a certificate of an authority, and"} use ${scheme}+s:// in NEO4J_URI`,
  };
}

function postgresWay(mode: string | null): Way | undefined {
  const isPlain = mode === null || mode === "disable" || mode === "allow";
  // opsctl verifies in all other modes
  if (!isPlain && mode !== "no-verify") return undefined;
  return {
    isPlain,
    evidence: mode === null ? "its URL has no sslmode, which means none" : `its URL has sslmode=${mode}`,
    advice: isPlain
      ? "set ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf, SELECT pg_reload_conf(), and add ?sslmode=verify-full to DATABASE_URL"
      : "use sslmode=verify-full, with sslrootcert=FILE for an authority of your own",
  };
}
