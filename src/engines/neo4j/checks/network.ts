/** Who can reach the server, and what is readable on the way. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../../../call.ts";
import type { Found, Severity } from "../../../health/doctor/check.ts";
import { Unknowable } from "../../../health/doctor/check.ts";
import { placeOf } from "../pool.ts";
import { machineOf, type Settings } from "../server-facts.ts";
import { type Neo4jCheck, type Neo4jScope, setting, settings } from "./common.ts";

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i;

/** The address that a connector listens at, when it is not loopback: `0.0.0.0:7687`. */
function openAddress(known: Settings, connector: "bolt" | "http"): string | undefined {
  if (known.get(`server.${connector}.enabled`) === "false") return undefined;
  const address = known.get(`server.${connector}.listen_address`) ?? "";
  const host = address.replace(/:\d+$/, "") || known.get("server.default_listen_address") || "localhost";
  return LOOPBACK.test(host) ? undefined : address || host;
}

/**
 * A container listens at all addresses, and its published ports decide: where the server's machine is not this one although it answers at
 * loopback, nothing more is known.
 */
async function isPublished(call: Call, { connection, target, root }: Neo4jScope): Promise<boolean> {
  if (!LOOPBACK.test(placeOf(target).host)) return true;
  const host = await readFile(join(root, "proc/sys/kernel/hostname"), "utf8").catch(() => "");
  try {
    return (await machineOf(call, connection)).name.split("@").at(-1) === host.trim();
  } catch (error) {
    if (error instanceof Unknowable) return true;
    throw error;
  }
}

const PUBLISHED = "publish the container's port on 127.0.0.1 only (docker ps shows where it is), or";

export const boltUnencrypted: Neo4jCheck = {
  id: "neo4j-bolt-unencrypted",
  area: "neo4j",
  title: "Bolt without TLS beyond this host",
  looks: "server.bolt.listen_address, server.bolt.tls_level",
  async run(call, scope) {
    const known = await settings(call, scope);
    return boltFindings(known, openAddress(known, "bolt") ? await isPublished(call, scope) : true);
  },
};

/** @param published false: in a container, whose ports may be published at loopback only */
export function boltFindings(known: Settings, published: boolean): Found[] {
  const address = openAddress(known, "bolt");
  const level = known.get("server.bolt.tls_level") ?? "DISABLED";
  if (address === undefined || level === "REQUIRED") return [];
  const severity: Severity = published && level === "DISABLED" ? "warning" : "info";
  return [
    {
      severity,
      subject: `Bolt at ${address}`,
      evidence: `server.bolt.tls_level is ${level}`,
      cause: "passwords and data can be read by everybody on the way",
      remedies: [],
      advice: `${published ? "" : `${PUBLISHED} `}${setting("server.bolt.tls_level=REQUIRED and dbms.ssl.policy.bolt.enabled=true with a certificate")}; connect with bolt+s://, or listen at 127.0.0.1`,
    },
  ];
}

export const httpExposed: Neo4jCheck = {
  id: "neo4j-http-exposed",
  area: "neo4j",
  title: "the HTTP port is open beyond this host",
  looks: "server.http.enabled, server.http.listen_address",
  async run(call, scope) {
    const known = await settings(call, scope);
    return httpFindings(known, openAddress(known, "http") ? await isPublished(call, scope) : true);
  },
};

/** @param published as for `boltFindings` */
export function httpFindings(known: Settings, published: boolean): Found[] {
  const address = openAddress(known, "http");
  if (address === undefined) return [];
  return [
    {
      severity: published ? "warning" : "info",
      subject: `HTTP at ${address}`,
      evidence: "server.http.enabled is true and the port is not on loopback",
      cause: "HTTP is not encrypted: whoever logs in there shows the password to everybody on the way",
      remedies: [],
      advice: `${published ? "" : `${PUBLISHED} `}${setting("server.http.listen_address=127.0.0.1:7474, or server.http.enabled=false")}`,
    },
  ];
}

export const authDisabled: Neo4jCheck = {
  id: "neo4j-auth-disabled",
  area: "neo4j",
  title: "no password is asked for",
  looks: "dbms.security.auth_enabled",
  async run(call, scope) {
    const known = await settings(call, scope);
    const isOpen = openAddress(known, "bolt") !== undefined || openAddress(known, "http") !== undefined;
    return authFindings(known, isOpen && (await isPublished(call, scope)));
  },
};

/** @param isOpen it listens beyond loopback */
export function authFindings(known: Settings, isOpen: boolean): Found[] {
  if (known.get("dbms.security.auth_enabled") !== "false") return [];
  return [
    {
      severity: isOpen ? "error" : "warning",
      subject: "authentication",
      evidence: "dbms.security.auth_enabled is false",
      cause: isOpen
        ? "everybody who reaches the port may read, change and delete everything"
        : "every user and every program of this host may read, change and delete everything",
      remedies: [],
      advice: `${setting("dbms.security.auth_enabled=true")}; before it, neo4j-admin dbms set-initial-password`,
    },
  ];
}
