/** Where a target is, as its URL says. */
import type { Target } from "../../config/targets.ts";
import { addressOf } from "./address.ts";
import type { StackScope } from "./scope.ts";

/** Host of a server; a path for a socket, empty for a file. */
export function hostOf(target: Target): string {
  return addressOf(target)?.host ?? "";
}

/** Nothing leaves this host on the way to it: the loopback interface, a socket, a file. */
export function isLocal(target: Target): boolean {
  if (target.engine === "sqlite") return true;
  const host = hostOf(target);
  return host.startsWith("/") || /^(localhost|.+\.localhost|0\.0\.0\.0|127(\.\d{1,3}){3}|::1)$/i.test(host);
}

/** The password that a target connects with; empty: none. */
export function passwordOf(target: Target): string {
  if (target.password !== undefined) return target.password;
  const { password, searchParams } = new URL(target.url);
  return decodeURIComponent(password) || (searchParams.get("password") ?? "");
}

/** The user that a target connects as; empty: the server's default. */
export function userOf(target: Target): string {
  return target.username ?? decodeURIComponent(new URL(target.url).username);
}

/** The configured servers. */
export function servers({ targets }: StackScope): Target[] {
  return targets.filter(({ engine }) => engine !== "sqlite");
}
