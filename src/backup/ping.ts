/** Tells a dead man's switch how a backup goes: healthchecks.io, Uptime Kuma, or whatever takes a request. */
import type { Call } from "../call.ts";

const TIMEOUT_MS = 10_000;
const TRIES = 2;
/** More than any of these services keep. */
const MAX_BODY_CHARS = 10_000;

/**
 * Calls a URL: GET, or POST with a text. A failure is a warning in the log, never an error: the backup counts. Nothing but the URL's scheme, host
 * and port is ever printed, because whoever knows the rest can call it.
 */
export async function ping(call: Call, url: string, body?: string): Promise<void> {
  const target = parse(url);
  if (!target) {
    call.log("WARNING", "a ping was not sent: its URL is none of http:// or https://");
    return;
  }
  let reason = "";
  for (let attempt = 0; attempt < TRIES && !call.signal.aborted; attempt += 1) {
    const failure = await send(call, target, body);
    if (failure === undefined) return;
    reason = failure;
  }
  call.log("WARNING", `the ping to ${target.shown} failed: ${reason || "the run is over"}`);
}

interface PingTarget {
  href: string;
  shown: string;
  headers: Record<string, string>;
}

function parse(text: string): PingTarget | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol)) return undefined;
  const headers: Record<string, string> = {};
  // fetch refuses URLs with a password in them
  if (url.username !== "" || url.password !== "") {
    const user = `${decoded(url.username)}:${decoded(url.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(user).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  return { href: url.href, shown: url.origin, headers };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @returns why it failed; undefined: it was taken */
async function send(call: Call, target: PingTarget, body: string | undefined): Promise<string | undefined> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(target.href, {
      headers: target.headers,
      signal: AbortSignal.any([call.signal, limit]),
      ...(body === undefined ? {} : { method: "POST", body: body.slice(0, MAX_BODY_CHARS) }),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `it answered ${response.status}`;
  } catch (error) {
    if (call.signal.aborted) return "the run is over";
    if (limit.aborted) return `no answer within ${TIMEOUT_MS / 1000} s`;
    // its message may hold the URL
    const { code } = ((error as Error).cause ?? {}) as { code?: unknown };
    return typeof code === "string" ? code : "it cannot be reached";
  }
}
