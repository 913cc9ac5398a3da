import { TYPES } from "./rdb-layout.ts";

/** Redis is configured with 16; a file that names more than these wants to fill the memory. */
const MAX_DATABASES = 65_536;

interface Database {
  keys: number;
  expires: number;
  /** By place in `TYPES`. */
  types: number[];
}

/** What an RDB file holds, counted while it is read. */
export class RdbCounts {
  functions = 0;
  readonly #databases = new Map<number, Database>();
  #current: Database | undefined;
  #number = 0;

  select(database: number): void {
    this.#number = database;
    this.#current = this.#databases.get(database);
  }

  /** @param type place in `TYPES`; false: there are too many databases */
  key(type: number, expires: boolean): boolean {
    if (this.#current === undefined) {
      if (this.#databases.size === MAX_DATABASES) return false;
      this.#current = { keys: 0, expires: 0, types: TYPES.map(() => 0) };
      this.#databases.set(this.#number, this.#current);
    }
    this.#current.keys += 1;
    this.#current.types[type]! += 1;
    if (expires) this.#current.expires += 1;
    return true;
  }

  /** `keys`, `expires`, `functions` (libraries), `databases` (that hold keys). */
  totals(): Record<string, number> {
    const databases = [...this.#databases.values()];
    return {
      keys: databases.reduce((sum, { keys }) => sum + keys, 0),
      expires: databases.reduce((sum, { expires }) => sum + expires, 0),
      functions: this.functions,
      databases: databases.length,
    };
  }

  /** `db0` (keys), `db0.expires` and `db0.string`, `db0.list`, … for the types that it holds. */
  breakdown(): Record<string, number> {
    const breakdown: Record<string, number> = {};
    for (const [number, { keys, expires, types }] of [...this.#databases].sort(([a], [b]) => a - b)) {
      breakdown[`db${number}`] = keys;
      breakdown[`db${number}.expires`] = expires;
      for (const [type, count] of types.entries()) {
        if (count > 0) breakdown[`db${number}.${TYPES[type]}`] = count;
      }
    }
    return breakdown;
  }
}
