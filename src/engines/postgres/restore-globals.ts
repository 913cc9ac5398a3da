import { createReadStream } from "node:fs";
import type { Call } from "../../call.ts";
import type {
  Found,
  RestoreFile,
  RestorePart,
  RestorePlan,
  RestoreTask,
  Swapped,
} from "../../restore/port.ts";
import { readGlobals } from "./backup-parse.ts";
import { ScriptReader } from "./backup-script.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { unquoted } from "./quoting.ts";
import { explainFile } from "./restore-failure.ts";
import { serverFacts } from "./restore-plan.ts";
import { openServer, type RestoreSession } from "./restore-session.ts";

const NAME = `(?:"(?:[^"]|"")+"|[^\\s";]+)`;
/** As pg_dumpall writes them, one line each. */
const CREATE = new RegExp(`^CREATE ROLE (${NAME});$`);
const ATTRIBUTES = new RegExp(`^ALTER ROLE (${NAME}) WITH [^';]*(?:VALID UNTIL '[^']*')?[^';]*;$`);
const SETTING = new RegExp(`^ALTER ROLE (${NAME}) SET .*;$`);
const MEMBER = new RegExp(`^GRANT ${NAME} TO (${NAME})(?: WITH [A-Z, ]+)?(?: GRANTED BY ${NAME})?;$`);
const GRANTOR = new RegExp(` GRANTED BY ${NAME};$`);
/** Made by somebody else at the same time. */
const EXISTS: ReadonlySet<string | undefined> = new Set(["42710", "23505"]);

/** What a file of globals says of one role. */
interface Role {
  /** As it is quoted in the file. */
  quoted: string;
  name: string;
  /** Statements that make it what it was: attributes, settings. */
  own: string[];
  /** Its memberships in others. */
  memberships: string[];
}

/** Roles that are missing. Those that are there stay as they are: a server has other users than one backup. */
export class GlobalsRestore implements RestorePart {
  readonly engine = "postgres";
  readonly name: string;
  readonly target: string;
  readonly isFirst = true;
  readonly isTouched = false;
  readonly #file: RestoreFile;
  readonly #connection: PostgresConnection;
  #created = 0;
  #notes: string[] = [];

  /** @param connection to any database of the server; ours alone */
  constructor(task: RestoreTask, file: RestoreFile, connection: PostgresConnection) {
    this.#file = file;
    this.#connection = connection;
    this.name = task.name;
    this.target = `postgresql://${connection.where.address}`;
  }

  plan(call: Call): Promise<RestorePlan> {
    return this.#withServer(call, async (server) => {
      const facts = await serverFacts(call, server);
      const missing = await missingRoles(call, server, await this.#roles(call));
      const names = missing.map(({ name }) => name).join(", ");
      const notes: string[] = [];
      if (missing.length > 0) notes.push("the new roles have no passwords: set them afterwards");
      if (missing.length > 0 && !facts.creates_roles) {
        notes.push(`the user "${server.connection.where.user}" may not create roles: ${names} stay missing`);
      }
      return {
        server_version: facts.version,
        overwrites: "nothing",
        how: missing.length === 0 ? "all its roles are there" : `creates the missing roles ${names}`,
        undo: "none",
        needs: { bytes: 0, path: null },
        notes,
      };
    });
  }

  /** A role more is no change of what is there: databases are loaded with it. */
  prepare(call: Call): Promise<void> {
    return this.#withServer(call, async (server) => {
      this.#notes = [];
      const facts = await serverFacts(call, server);
      if (!facts.creates_roles) return;
      const missing = await missingRoles(call, server, await this.#roles(call));
      const created: Role[] = [];
      for (const role of missing) if (await this.#create(call, server, role)) created.push(role);
      for (const role of created) {
        for (const text of [...role.own, ...role.memberships]) await this.#try(call, server, text, role);
      }
      this.#created = created.length;
    });
  }

  async swap(): Promise<Swapped> {
    return { how: `${this.#created} roles were created`, outage_ms: null, notes: this.#notes };
  }

  verify(call: Call): Promise<Found> {
    return this.#withServer(call, async (server) => {
      const roles = await this.#roles(call);
      const missing = await missingRoles(call, server, roles);
      return {
        counts: { roles: roles.length - missing.length },
        breakdown: {},
        problems: [],
        notes:
          missing.length > 0
            ? [`these roles are missing: ${missing.map(({ name }) => name).join(", ")}`]
            : [],
      };
    });
  }

  async requireWayBack(): Promise<void> {}

  async rollback(): Promise<void> {}

  async abandon(): Promise<void> {}

  async forget(): Promise<void> {}

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #withServer<T>(call: Call, work: (server: RestoreSession) => Promise<T>): Promise<T> {
    const server = await openServer(call, this.#connection, "");
    try {
      return await work(server);
    } finally {
      await server.close();
    }
  }

  async #roles(call: Call): Promise<Role[]> {
    try {
      return await readRoles(call, this.#file);
    } catch (error) {
      throw explainFile(error, this.#file);
    }
  }

  async #create(call: Call, server: RestoreSession, role: Role): Promise<boolean> {
    try {
      await server.query(call, `CREATE ROLE ${role.quoted}`);
      return true;
    } catch (error) {
      if (EXISTS.has(sqlState(error))) return false;
      throw error;
    }
  }

  /** What this user may not give (SUPERUSER, membership in a role of another), or this server does not know, is told. */
  async #try(call: Call, server: RestoreSession, text: string, { name }: Role): Promise<void> {
    try {
      await server.query(call, text);
    } catch (error) {
      if (sqlState(error) === undefined) throw error;
      this.#notes.push(`the role "${name}" did not get all that it had (SQLSTATE ${sqlState(error)})`);
    }
  }
}

async function missingRoles(call: Call, server: RestoreSession, roles: readonly Role[]): Promise<Role[]> {
  const rows = await server.query<{ name: string }>(
    call,
    "SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1)",
    [roles.map(({ name }) => name)],
  );
  const there = new Set(rows.map(({ name }) => name));
  return roles.filter(({ name }) => !there.has(name));
}

/** Statements of other kinds (tablespaces, settings of roles in one database) are not for us. Read twice: the first time for damage. */
async function readRoles(call: Call, file: RestoreFile): Promise<Role[]> {
  const content = () => createReadStream(file.local, { signal: call.signal });
  await readGlobals(content());
  const roles = new Map<string, Role>();
  const script = new ScriptReader("PostgreSQL database cluster dump", (latin) => {
    const line = Buffer.from(latin, "latin1").toString("utf8");
    const quoted = CREATE.exec(line)?.[1];
    if (quoted !== undefined) roles.set(quoted, { quoted, name: unquoted(quoted), own: [], memberships: [] });
    const owner = (ATTRIBUTES.exec(line) ?? SETTING.exec(line))?.[1];
    if (owner !== undefined) roles.get(owner)?.own.push(line);
    const member = MEMBER.exec(line)?.[1];
    // whoever granted it may not be there, or not be us
    if (member !== undefined) roles.get(member)?.memberships.push(line.replace(GRANTOR, ";"));
  });
  for await (const chunk of content()) script.push(chunk);
  script.end();
  return [...roles.values()];
}
