import { hash } from "node:crypto";
import Database from "better-sqlite3";

/** A digest of 128 bits: for two of 10^12 keys to share one, the odds are 1 to 10^14. */
const DIGEST_BYTES = 16;
/** What SQLite may keep in memory, KiB. */
const CACHE_KIB = 16 << 10;

/**
 * The keys that a scan has met: SCAN returns some twice while a table of the server grows or shrinks, and a server refuses a file that holds
 * a key twice. Kept in a file, because memory must not grow with the keys.
 */
export class SeenKeys {
  readonly #database: Database.Database;
  readonly #insert: Database.Statement;

  /** @param path of a file that does not exist yet */
  constructor(path: string) {
    this.#database = new Database(path);
    // nothing of it is needed after a crash
    for (const setting of ["journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"]) {
      this.#database.pragma(setting);
    }
    this.#database.pragma(`cache_size = -${CACHE_KIB}`);
    this.#database.exec("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN");
    this.#insert = this.#database.prepare("INSERT OR IGNORE INTO seen VALUES (?)");
  }

  /** Whether it is met for the first time. */
  isNew(database: number, key: Buffer): boolean {
    const digest = hash("sha256", Buffer.concat([Buffer.from(`${database} `), key]), "buffer");
    return this.#insert.run(digest.subarray(0, DIGEST_BYTES)).changes === 1;
  }

  close(): void {
    this.#database.close();
  }
}
