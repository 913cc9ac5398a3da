import type { BackupPart, Copied, PartFacts, PartOutput, Snapshot } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { readTool } from "../../child.ts";
import { GLOBALS } from "./backup-database.ts";
import { readGlobals } from "./backup-parse.ts";
import { PartSession } from "./backup-session.ts";
import { requireTools, toolOptions } from "./client-tools.ts";
import type { PostgresConnection } from "./connect.ts";
import { connectionString } from "./quoting.ts";

/** Before it is known: some hundred roles. */
const ESTIMATE_BYTES = 65_536;
const MAX_BYTES = 1 << 26;
/** How often it is read again when it changed meanwhile. */
const ATTEMPTS = 3;

const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major`;

/** What pg_dumpall reads, as one number: its queries are not of one snapshot. */
const FINGERPRINT = `SELECT hashtextextended(concat(
    (SELECT string_agg(r::text, ',' ORDER BY oid) FROM pg_roles r),
    (SELECT string_agg(m::text, ',' ORDER BY roleid, member, grantor) FROM pg_auth_members m),
    (SELECT string_agg(t::text, ',' ORDER BY oid) FROM pg_tablespace t),
    (SELECT string_agg(s::text, ',' ORDER BY setdatabase, setrole) FROM pg_db_role_setting s),
    (SELECT string_agg(d::text, ',' ORDER BY objoid, classoid) FROM pg_shdescription d)
  ), 0)::text AS fingerprint`;

/** Roles, memberships, settings and tablespaces of a server: without passwords, which nobody but a superuser can read. */
export class GlobalsPart implements BackupPart {
  readonly engine = "postgres";
  readonly name = GLOBALS;
  readonly source: string;
  readonly isSlowToPrepare = false;
  readonly #connection: PostgresConnection;
  #session: PartSession | undefined;
  #fingerprint = "";

  /** @param connection to any database of the server, ours alone */
  constructor(connection: PostgresConnection) {
    this.#connection = connection;
    this.source = `postgresql://${connection.where.address}`;
  }

  async open(call: Call): Promise<PartFacts> {
    this.#session = await PartSession.open(call, this.#connection);
    const [server] = await this.#session.query<{ version: string; major: number }>(call, SERVER);
    const { version, major } = server!;
    return {
      server_version: version,
      tools: await requireTools(call, ["pg_dumpall"], major, this.#connection.where.address),
      estimate_bytes: ESTIMATE_BYTES,
      scratch_bytes: 0,
      notes: ["the passwords of roles are not in it: set them again after a restore on another server"],
    };
  }

  async prepare(call: Call): Promise<Snapshot> {
    const at = Date.now();
    this.#fingerprint = await this.#readFingerprint(call);
    return { at, identity: { fingerprint: this.#fingerprint } };
  }

  /** What is the same before and after was the same in between. */
  async copy(call: Call, out: PartOutput): Promise<Copied> {
    let at: number | undefined;
    for (let attempt = 1; ; attempt++) {
      const before = this.#fingerprint;
      const text = await this.#dump(call);
      const asked = Date.now();
      this.#fingerprint = await this.#readFingerprint(call);
      const isSame = before === this.#fingerprint;
      if (!isSame && attempt < ATTEMPTS) {
        at = asked;
        continue;
      }
      const counts = await readGlobals([Buffer.from(text)]);
      await this.#write(out, text);
      return {
        consistency: isSame ? "consistent" : "fuzzy",
        reason: isSame ? null : `roles or settings changed in each of ${ATTEMPTS} attempts`,
        counts,
        breakdown: {},
        identity: { fingerprint: this.#fingerprint },
        ...(at !== undefined && { at }),
      };
    }
  }

  async close(): Promise<void> {
    this.#session?.close();
    await this.#connection.close();
  }

  #dump(call: Call): Promise<string> {
    const options = { ...toolOptions(this.#connection.environment()), maxBytes: MAX_BYTES };
    const { database } = this.#connection.where;
    // a connection string: a name alone is taken for one when it has a "=" in it
    const entry = connectionString(database);
    const args = ["--globals-only", "--no-role-passwords", "--no-password", `--database=${entry}`];
    return readTool(call, "pg_dumpall", args, options);
  }

  async #write(out: PartOutput, text: string): Promise<void> {
    if (!out.wants("postgres-globals")) return;
    const file = await out.file(`postgres/${GLOBALS}.sql`, "postgres-globals");
    await file.write(Buffer.from(text));
    await file.end();
  }

  async #readFingerprint(call: Call): Promise<string> {
    const [row] = await this.#session!.query<{ fingerprint: string }>(call, FINGERPRINT);
    return row!.fingerprint;
  }
}
