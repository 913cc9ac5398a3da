/** Why a configured engine does not answer: one reason for each, found by asking again in simpler words. */
import { lookup } from "node:dns/promises";
import { bounded } from "../../bounded.ts";
import type { Target } from "../../config/targets.ts";
import type { EngineReport } from "../probes.ts";
import { type Address, accepts, addressOf, isLoopback, isOwn, listenersAt } from "./address.ts";
import type { StackScope } from "./scope.ts";
import { type Certificate, certificateAt, refusalAt, type Speaks, speakerAt } from "./wire.ts";

/** The first that fails, from the name to the database. */
export type Obstacle =
  | { kind: "dns"; code: string }
  | { kind: "refused" }
  /** Something of this host listens at the port, at other addresses. */
  | { kind: "address"; listeners: readonly string[]; ip: string }
  | { kind: "unreachable"; code: string }
  | { kind: "protocol"; speaks: Speaks }
  | { kind: "tls"; certificate: Certificate | null }
  | { kind: "authentication" }
  | { kind: "unavailable" };

/** An engine that does not answer. */
export interface Unanswered {
  report: EngineReport;
  target: Target;
  /** Null: a file. */
  address: Address | null;
  obstacle: Obstacle;
  /** What the engine's own way met. */
  message: string;
}

/** For the resolver, ms. */
const LOOKUP_MS = 2_000;

const known = new WeakMap<StackScope, Promise<Unanswered[]>>();

/** The engines that did not answer, each with what stands in the way; asked once for all checks of a scope. */
function unanswered(scope: StackScope): Promise<Unanswered[]> {
  const asked = known.get(scope) ?? ask(scope);
  known.set(scope, asked);
  return asked;
}

/** Those with one kind of obstacle. */
export async function hindered<K extends Obstacle["kind"]>(
  scope: StackScope,
  kind: K,
): Promise<(Unanswered & { obstacle: Extract<Obstacle, { kind: K }> })[]> {
  return (await unanswered(scope)).filter(
    (one): one is Unanswered & { obstacle: Extract<Obstacle, { kind: K }> } => one.obstacle.kind === kind,
  );
}

function ask({ engines, targets, root }: StackScope): Promise<Unanswered[]> {
  const silent = engines.flatMap((report) => {
    const target = targets.find(({ engine }) => engine === report.engine);
    return report.status === "disconnected" && target ? [{ report, target }] : [];
  });
  return Promise.all(
    silent.map(async ({ report, target }) => {
      const address = addressOf(target);
      const obstacle = await obstacleOf(report, address, root);
      return { report, target, address, obstacle, message: report.message ?? "it did not answer" };
    }),
  );
}

async function obstacleOf(report: EngineReport, address: Address | null, root: string): Promise<Obstacle> {
  if (report.code === "auth") return { kind: "authentication" };
  // it would be asked otherwise, and answered
  if (address === null || report.code !== "unreachable") return { kind: "unavailable" };
  const ip = address.socket === null ? await resolved(address.host) : null;
  if (ip !== null && "code" in ip) return { kind: "dns", code: ip.code };
  const refusal = await refusalAt(address);
  if (refusal === "ECONNREFUSED" || refusal === "ENOENT")
    return ip === null ? { kind: "refused" } : await notListening(ip.ip, address.port, root);
  if (refusal !== null) return { kind: "unreachable", code: refusal };
  return spoken(report, address, await speakerAt(address));
}

async function spoken(
  { engine, message }: EngineReport,
  address: Address,
  speaks: Speaks,
): Promise<Obstacle> {
  if (speaks === "silent") return { kind: "unreachable", code: "silent" };
  const isPlain = speaks === engine;
  if (!isPlain && speaks !== "unknown") return { kind: "protocol", speaks };
  if (address.tls || !isPlain || /\bTLS\b|certificate/i.test(message ?? "")) {
    const certificate = await certificateAt(address, engine === "postgres");
    if (address.tls || certificate !== null) return { kind: "tls", certificate };
  }
  return isPlain ? { kind: "unavailable" } : { kind: "protocol", speaks };
}

async function resolved(host: string): Promise<{ ip: string } | { code: string }> {
  try {
    return { ip: (await bounded(lookup(host), LOOKUP_MS)).address };
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? "no answer" };
  }
}

/** Of another host nobody can tell here. */
async function notListening(ip: string, port: number, root: string): Promise<Obstacle> {
  const listeners = isOwn(ip) ? ((await listenersAt(root, port)) ?? []) : [];
  const others = listeners.filter((listener) => !accepts(listener, ip));
  return others.length === 0 ? { kind: "refused" } : { kind: "address", listeners: others, ip };
}

/** Whether nobody but this host can reach any of these. */
export function areLoopback(listeners: readonly string[]): boolean {
  return listeners.every(isLoopback);
}
