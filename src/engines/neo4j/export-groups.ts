/** Labels and types as they come: each set of labels and each type is decoded once and counted. */
import type { Cursor } from "./bolt-unpack.ts";

/** Sets of labels that are kept decoded; a graph with more has its counts folded into those of the labels. */
const MAX_KEPT = 4_096;
/** Labels of the lock of migrations and of its lease: state of a moment, not data. */
const OWN_LABELS: ReadonlySet<string> = new Set(["opsctl_lock", "opsctl_lease"]);

/** What nodes with the same labels, or relationships of a type, have in common. */
export interface Group {
  names: readonly string[];
  /** The names as JSON: an array of labels, the string of a type. */
  json: Buffer;
  count: number;
  isOwn: boolean;
}

export class Groups {
  readonly #kept = new Map<string, Group>();
  readonly #breakdown = new Map<string, number>();

  /** Reads the list of labels at the cursor. */
  ofLabels(record: Cursor): Group {
    const from = record.at;
    const labels = record.list();
    for (let i = 0; i < labels; i++) record.skip(record.text());
    const key = record.bytes.toString("latin1", from, record.at);
    return this.#kept.get(key) ?? this.#keep(key, labelsAt(record, from, labels));
  }

  /** Reads the type at the cursor. */
  ofType(record: Cursor): Group {
    const length = record.text();
    const from = record.skip(length);
    const key = record.bytes.toString("latin1", from, from + length);
    const known = this.#kept.get(key);
    if (known) return known;
    const type = record.bytes.toString("utf8", from, from + length);
    return this.#keep(key, {
      names: [`[:${type}]`],
      json: Buffer.from(JSON.stringify(type)),
      count: 0,
      isOwn: false,
    });
  }

  /** How many of each label (`:Label`) and type (`[:TYPE]`); a node counts for each of its labels. */
  breakdown(): Record<string, number> {
    this.#fold();
    return Object.fromEntries([...this.#breakdown].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #keep(key: string, group: Group): Group {
    if (this.#kept.size >= MAX_KEPT) this.#fold();
    this.#kept.set(key, group);
    return group;
  }

  #fold(): void {
    for (const { names, count } of this.#kept.values()) {
      if (count === 0) continue;
      for (const name of names) this.#breakdown.set(name, (this.#breakdown.get(name) ?? 0) + count);
    }
    this.#kept.clear();
  }
}

function labelsAt(record: Cursor, from: number, labels: number): Group {
  const to = record.at;
  record.at = from;
  record.list();
  const names: string[] = [];
  for (let i = 0; i < labels; i++) {
    const length = record.text();
    const at = record.skip(length);
    names.push(record.bytes.toString("utf8", at, at + length));
  }
  record.at = to;
  return {
    names: names.map((name) => `:${name}`),
    json: Buffer.from(JSON.stringify(names)),
    count: 0,
    isOwn: names.some((name) => OWN_LABELS.has(name)),
  };
}
