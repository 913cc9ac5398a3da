/** What the three servers have in common. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import type { ProcessId } from "./process.ts";

export interface ServerOptions {
  /** Folder of this server: data, configuration and log. It is made when it is missing; data in it is used again. */
  dir: string;
  /** Default: a free one. */
  port?: number;
  /** Default: random. Data that is there already keeps its password: pass that one. */
  password?: string;
  /** How long the start may take, in milliseconds. Default 60,000 (Neo4j 120,000). */
  timeoutMs?: number;
  /** Aborting gives up waiting and ends the server. */
  signal?: AbortSignal;
  /** Told as soon as the process exists, long before it is ready: who is interrupted then can still end it. */
  onSpawn?: (process: ProcessId) => void;
}

export interface RunningServer {
  port: number;
  pid: number;
  password: string;
  process: ProcessId;
  logFile: string;
  /** Ends the server: politely, after 15 s with SIGKILL. The data stays. Does nothing when it is gone already. */
  stop(): Promise<void>;
}

/** A password that needs no quoting in a URL, a configuration file or a shell. */
export function randomPassword(): string {
  return randomBytes(12).toString("hex");
}

/** Makes a folder that only we (and `mode` says who else) may enter. */
export function makeDir(dir: string, mode = 0o700): string {
  mkdirSync(dir, { recursive: true, mode });
  return dir;
}
