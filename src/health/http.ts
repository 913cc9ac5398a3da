import { abortError, type Call } from "../call.ts";

export interface HttpReport {
  /** Without user and password. */
  url: string;
  status: "connected" | "disconnected";
  /** Until the answer was read, ms. */
  latency_ms: number | null;
  message: string | null;
}

/** Neo4j's discovery document is one line; whoever sends more is somebody else. */
const MAX_BYTES = 64 * 1024;

/**
 * Asks Neo4j's HTTP port for its discovery document (`GET /`), which needs no login and names the Bolt address.
 * @throws OpsError only when the call is interrupted: no answer is a result
 */
export async function askHttp(call: Call, url: string, limitMs: number): Promise<HttpReport> {
  const shown = withoutUser(url);
  const startedAt = performance.now();
  try {
    const signal = AbortSignal.any([call.signal, AbortSignal.timeout(Math.ceil(limitMs))]);
    const response = await fetch(shown, {
      headers: { accept: "application/json" },
      redirect: "manual",
      signal,
    });
    const problem = response.ok ? problemOf(await textOf(response)) : `answered with HTTP ${response.status}`;
    if (problem !== null) return { url: shown, status: "disconnected", latency_ms: null, message: problem };
    return { url: shown, status: "connected", latency_ms: performance.now() - startedAt, message: null };
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    return { url: shown, status: "disconnected", latency_ms: null, message: reasonOf(error, limitMs) };
  }
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    chunks.push(chunk);
    if (size > MAX_BYTES) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** `neo4j_version` stands in the document of 4.x, 5.x and the calendar versions. */
function problemOf(text: string): string | null {
  return text.includes('"neo4j_version"') ? null : "something answers there, but it is not Neo4j";
}

function reasonOf(error: unknown, limitMs: number): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `no answer within ${Math.round(limitMs)} ms`;
  }
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" ? "refuses connections" : `cannot be reached (${code ?? "error"})`;
}

/** fetch() refuses addresses with user info, and it must not be shown. */
function withoutUser(url: string): string {
  const parsed = new URL(url);
  parsed.username = "";
  parsed.password = "";
  return parsed.href;
}
