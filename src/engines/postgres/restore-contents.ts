/** What a dump needs of the server that it goes to: read from its definitions, as pg_restore or pg_dump wrote them. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Call } from "../../call.ts";
import { startTool } from "../../child.ts";
import type { RestoreFile } from "../../restore/port.ts";
import { ScriptReader } from "./backup-script.ts";
import { TOOL_OPTIONS } from "./client-tools.ts";
import { unquoted } from "./quoting.ts";
import { explainFile, explainLoad } from "./restore-failure.ts";

/** Before each object: what it is and whose. Owner and tablespace may be missing. */
const HEADER =
  /^-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: .*; Owner: (.*?)(?:; Tablespace: (.*))?$/;
const ROLE = `("(?:[^"]|"")+"|[^\\s",;]+)`;
const GRANT = new RegExp(
  `^(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .* (?:TO|FROM) ${ROLE}(?: WITH GRANT OPTION)?;$`,
);
const DEFAULTS = new RegExp(`^ALTER DEFAULT PRIVILEGES FOR ROLE ${ROLE} `);
const POLICY = new RegExp(`^CREATE POLICY .* TO ((?:${ROLE}, )*${ROLE})(?: USING| WITH|;)`);
const TABLESPACE = new RegExp(`^SET default_tablespace = ${ROLE};$`);
/** Behind the template, as pg_dump writes it: settings that CREATE DATABASE takes. */
const LOCALE = /^CREATE DATABASE .* WITH TEMPLATE = template0 ((?:[A-Z_]+ = (?:'[^']*'|[a-z]+)(?: |;))+)$/;
const NOT_A_LOCALE = / ?(?:TABLESPACE|CONNECTION LIMIT|OID|STRATEGY|IS_TEMPLATE|ALLOW_CONNECTIONS) = [^ ;]+/g;

export interface DumpNeeds {
  /** Of the server that the dump is of; null: it does not say. */
  major: number | null;
  /** Encoding and locale as CREATE DATABASE takes them; undefined: only an archive tells. */
  locale: string | undefined;
  extensions: Set<string>;
  owners: Set<string>;
  /** Those who are granted something. */
  grantees: Set<string>;
  tablespaces: Set<string>;
  /** Constraints that were never checked. */
  notValid: number;
  /** Made with --create: it says itself which database it goes to. */
  isBound: boolean;
}

/**
 * Reads the definitions of a dump; of a script, all of it.
 * @throws OpsError `integrity` when they cannot be read, `failed` when pg_restore is missing or too old for them
 */
export async function readNeeds(call: Call, file: RestoreFile): Promise<DumpNeeds> {
  const reader = new NeedsReader();
  if (file.kind === "postgres-custom") await readArchive(call, file, reader);
  else await readScript(call, file, reader);
  return reader.needs;
}

/** Without a database to connect to, pg_restore prints and executes nothing. */
async function readArchive(call: Call, file: RestoreFile, reader: NeedsReader): Promise<void> {
  const args = ["--create", "--section=pre-data", "--section=post-data", "--file=-", file.local];
  const tool = startTool(call, "pg_restore", args, TOOL_OPTIONS);
  try {
    for await (const line of createInterface({ input: tool.stdout })) reader.line(line);
  } catch {
    // `done` says why
  }
  await tool.done.catch((error: unknown) => {
    throw explainLoad(error, file);
  });
  // the database itself: it is made by us
  reader.needs.isBound = false;
}

async function readScript(call: Call, file: RestoreFile, reader: NeedsReader): Promise<void> {
  const script = new ScriptReader("PostgreSQL database dump", (line) => {
    reader.line(Buffer.from(line, "latin1").toString("utf8"));
  });
  try {
    for await (const chunk of createReadStream(file.local, { highWaterMark: 1 << 18, signal: call.signal })) {
      script.push(chunk);
    }
    script.end();
  } catch (error) {
    throw explainFile(error, file);
  }
}

class NeedsReader {
  readonly needs: DumpNeeds = {
    major: null,
    locale: undefined,
    extensions: new Set(),
    owners: new Set(),
    grantees: new Set(),
    tablespaces: new Set(),
    notValid: 0,
    isBound: false,
  };
  #before = "";
  #type = "";

  line(line: string): void {
    const header = this.#before === "--" ? HEADER.exec(line) : null;
    this.#before = line;
    if (header) this.#begin(header[1]!, header[2]!, header[3]!);
    else this.#read(line);
  }

  #begin(name: string, type: string, owner: string): void {
    const ofDatabase = type.startsWith("DATABASE") || name.startsWith("DATABASE ");
    // who may do what with the database itself comes from the live one
    this.#type = ofDatabase ? "DATABASE" : type;
    if (ofDatabase) this.needs.isBound = true;
    else if (owner !== "" && owner !== "-") this.needs.owners.add(owner);
    if (type === "EXTENSION") this.needs.extensions.add(name);
  }

  #read(line: string): void {
    const { needs } = this;
    const add = (names: Set<string>, found: string | undefined) => {
      if (found !== undefined && found !== "PUBLIC") names.add(unquoted(found));
    };
    if (this.#type === "") needs.major ??= majorIn(line);
    else if (this.#type === "DATABASE") needs.locale ??= localeIn(line);
    else if (this.#type.endsWith("ACL")) {
      add(needs.grantees, GRANT.exec(line)?.[1]);
      add(needs.owners, DEFAULTS.exec(line)?.[1]);
    } else if (this.#type === "POLICY") {
      for (const [name] of POLICY.exec(line)?.[1]?.matchAll(new RegExp(ROLE, "g")) ?? [])
        add(needs.grantees, name);
    } else if (this.#type.endsWith("CONSTRAINT") && line.endsWith(" NOT VALID;")) needs.notValid++;
    // stands before the comment of the object that it is for
    if (line.startsWith("SET default_tablespace = ") && !line.endsWith("'';")) {
      add(needs.tablespaces, TABLESPACE.exec(line)?.[1]);
    }
  }
}

function majorIn(line: string): number | null {
  const found = /^-- Dumped from database version (\d+)/.exec(line)?.[1];
  return found === undefined ? null : Number(found);
}

function localeIn(line: string): string | undefined {
  return LOCALE.exec(line)?.[1]?.replace(NOT_A_LOCALE, "").replace(/;$/, "").trim();
}
