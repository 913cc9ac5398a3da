import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { VARIABLES } from "../words.ts";

export const connectionDns: Check<StackScope> = {
  id: "connection-dns",
  area: "stack",
  title: "the name of a server has no address",
  looks: "the host names of the configured URLs, as the resolver of this host knows them",
  async run(_call, scope) {
    return (await hindered(scope, "dns")).map(({ report, address, obstacle }) => ({
      severity: "error",
      subject: `${report.engine} at ${address!.shown}`,
      evidence: `the resolver has no address for ${address!.host} (${obstacle.code})`,
      cause: "the name is misspelt, was taken out of DNS, or the resolver of this host cannot be reached",
      remedies: [],
      advice: `try: getent hosts ${address!.host}; correct ${VARIABLES[report.engine]}, /etc/hosts or /etc/resolv.conf`,
    }));
  },
};
