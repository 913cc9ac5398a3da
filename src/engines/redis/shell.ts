import { isIP } from "node:net";
import { parseCommandString } from "execa";
import type { Target } from "../../config/targets.ts";
import type { ShellCommand } from "../../query/port.ts";
import { endpointOf } from "./endpoint.ts";

/**
 * redis-cli, connected; the password travels in REDISCLI_AUTH. With TLS it trusts the system's authorities; another one is named by
 * `--cacert` after the `--` of the command.
 * @param program how it is called here, words and all: `docker exec -i -e REDISCLI_AUTH cache redis-cli`
 */
export function redisShell(target: Target, program = "redis-cli"): ShellCommand {
  const [file = "redis-cli", ...words] = parseCommandString(program);
  const { options, database, tls } = endpointOf(target, 0);
  const { host, port } = options as { host: string; port: number };
  const url = new URL(target.url);
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const secured = tls ? ["--tls", ...(isIP(host) ? [] : ["--sni", host])] : [];
  return {
    file,
    args: [
      ...words,
      ...["-h", host, "-p", String(port)],
      ...(database > 0 ? ["-n", String(database)] : []),
      ...(username === "" ? [] : ["--user", username]),
      ...secured,
    ],
    env: { REDISCLI_AUTH: password === "" ? undefined : password },
  };
}
