import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import { hindered, type Unanswered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import type { Certificate } from "../wire.ts";
import { TITLES, VARIABLES } from "../words.ts";

/** How a URL asks for TLS. */
const WITH: Readonly<Record<EngineName, string>> = {
  neo4j: "bolt+s:// or neo4j+s://",
  postgres: "sslmode=verify-full",
  redis: "rediss://",
  sqlite: "",
};
const WITHOUT: Readonly<Record<EngineName, string>> = {
  neo4j: "bolt:// or neo4j://",
  postgres: "sslmode=disable",
  redis: "redis://",
  sqlite: "",
};

export const connectionTls: Check<StackScope> = {
  id: "connection-tls",
  area: "stack",
  title: "TLS with a server fails",
  looks: "the certificate that a server shows: its time, its names, who signed it; or that it shows none",
  async run(_call, scope) {
    return (await hindered(scope, "tls")).map((one) => {
      const { report, address, obstacle, message } = one;
      const { what, advice } = explained(one, obstacle.certificate, scope.now);
      return {
        severity: "error",
        subject: `${report.engine} at ${address!.shown}`,
        evidence: `${what}; opsctl met: ${message}`,
        cause: "opsctl sends no password over a connection that it cannot trust",
        remedies: [],
        advice,
      };
    });
  },
};

function explained(
  { report: { engine }, address }: Unanswered,
  shown: Certificate | null,
  now: number,
): { what: string; advice: string } {
  const variable = VARIABLES[engine];
  if (shown === null)
    return {
      what: `${TITLES[engine]} speaks no TLS at this port, and the URL asks for it`,
      advice: `give the server a certificate; on a network that you trust name ${WITHOUT[engine]} in ${variable}`,
    };
  if (!address!.tls)
    return {
      what: `${TITLES[engine]} takes TLS only, and the URL does not ask for it`,
      advice: `use ${WITH[engine]} in ${variable}`,
    };
  const until = new Date(shown.until).toISOString();
  if (shown.until < now)
    return {
      what: `the certificate for ${shown.names} ended at ${until}`,
      advice: "renew the certificate and let the server read it again (most need a reload or a restart)",
    };
  if (shown.from > now)
    return {
      what: `the certificate for ${shown.names} begins at ${new Date(shown.from).toISOString()} only`,
      advice: "compare the clocks of both hosts (timedatectl), or wait",
    };
  if (!shown.isForHost)
    return {
      what: `the certificate is for ${shown.names}, not for ${address!.host}`,
      advice: `use one of its names in ${variable}, or make a certificate for ${address!.host}`,
    };
  return {
    what: `the certificate for ${shown.names} was signed by ${shown.isSelfSigned ? "itself" : `"${shown.issuer}"`}, which this host does not trust`,
    advice:
      engine === "postgres"
        ? "name the file of the authority with sslrootcert=FILE in DATABASE_URL, or in NODE_EXTRA_CA_CERTS"
        : "name the file of the authority in NODE_EXTRA_CA_CERTS",
  };
}
