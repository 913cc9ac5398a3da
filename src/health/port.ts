import type { Call } from "../call.ts";

/** What a server says of itself, asked by a real query. */
export interface ProbeResult {
  version: string;
  /** Round trip of one trivial query on an open connection, ms. */
  latency_ms: number;
}

/** What health and stats need of an engine. Throws OpsError only. */
export interface Probe {
  probe(call: Call): Promise<ProbeResult>;
}
