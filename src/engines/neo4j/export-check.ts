/** Checks a graph's NDJSON line by line by the rules of export-json.ts. */

import { IdSet } from "./export-ids.ts";
import { FORMAT, VERSION } from "./export-json.ts";

type Kind = "header" | "constraint" | "index" | "node" | "relationship" | "footer";
/** In this order. */
const ORDER: readonly string[] = ["header", "constraint", "index", "node", "relationship", "footer"];
const MAX_INT = 2n ** 63n;

/** Number of parts of the types that are arrays. */
const PARTS: ReadonlyMap<string, readonly number[]> = new Map([
  ["date", [1]],
  ["localtime", [1]],
  ["time", [2]],
  ["localdatetime", [2]],
  ["datetime", [3]],
  ["duration", [4]],
  ["point", [3, 4]],
]);

export class GraphCheck {
  readonly #nodes = new IdSet();
  readonly #relationships = new IdSet();
  readonly #counts = { nodes: 0, relationships: 0, constraints: 0, indexes: 0 };
  readonly #breakdown = new Map<string, number>();
  #stage = -1;

  /** Whether the last line was seen. */
  get isWhole(): boolean {
    return this.#stage === ORDER.length - 1;
  }

  found(): { counts: Record<string, number>; breakdown: Record<string, number> } {
    return { counts: { ...this.#counts }, breakdown: Object.fromEntries(this.#breakdown) };
  }

  /** @throws Error saying what is wrong with it; SyntaxError when it is no JSON */
  line(text: string): void {
    const line: unknown = JSON.parse(text);
    if (!isObject(line) || typeof line["type"] !== "string") throw new Error("it has no type");
    this.#advance(line["type"]);
    this.#check(line["type"] as Kind, line);
  }

  #check(type: Kind, line: Record<string, unknown>): void {
    if (type === "node") this.#node(line);
    else if (type === "relationship") this.#relationship(line);
    else if (type === "header") checkHeader(line);
    else if (type === "footer") this.#footer(line);
    else this.#rule(type, line);
  }

  #rule(type: "constraint" | "index", line: Record<string, unknown>): void {
    if (typeof line["name"] !== "string" || typeof line["statement"] !== "string") {
      throw new Error(`a ${type} has no name or no statement`);
    }
    this.#counts[type === "index" ? "indexes" : "constraints"] += 1;
  }

  #advance(type: string): void {
    const stage = ORDER.indexOf(type);
    if (stage < 0) throw new Error("its type is unknown");
    if (this.isWhole) throw new Error("something stands behind the last line");
    if (this.#stage < 0 && type !== "header") throw new Error("the file does not begin with its header");
    if (stage < this.#stage || (stage === 0 && this.#stage === 0))
      throw new Error(`a ${type} in the wrong place`);
    this.#stage = stage;
  }

  #node({ id, labels, properties }: Record<string, unknown>): void {
    if (!Array.isArray(labels) || !labels.every((label) => typeof label === "string")) {
      throw new Error("the labels of a node are no texts");
    }
    if (!this.#nodes.add(idOf(id, "id"))) throw new Error(`the node ${id} is there twice`);
    checkProperties(properties);
    this.#counts.nodes += 1;
    for (const label of labels) this.#count(`:${label}`);
  }

  #relationship({ id, start, end, reltype, properties }: Record<string, unknown>): void {
    if (typeof reltype !== "string") throw new Error("a relationship has no type");
    if (!this.#relationships.add(idOf(id, "id"))) throw new Error(`the relationship ${id} is there twice`);
    for (const node of [idOf(start, "start"), idOf(end, "end")]) {
      if (!this.#nodes.has(node))
        throw new Error(`the relationship ${id} ends at node ${node}, which is not there`);
    }
    checkProperties(properties);
    this.#counts.relationships += 1;
    this.#count(`[:${reltype}]`);
  }

  #footer(line: Record<string, unknown>): void {
    for (const [name, count] of Object.entries(this.#counts)) {
      if (line[name] !== count)
        throw new Error(`the last line counts ${line[name]} ${name}, and there are ${count}`);
    }
  }

  #count(name: string): void {
    this.#breakdown.set(name, (this.#breakdown.get(name) ?? 0) + 1);
  }
}

function checkHeader({ format, version }: Record<string, unknown>): void {
  if (format !== FORMAT) throw new Error(`the file is not of the format ${FORMAT}`);
  if (version !== VERSION)
    throw new Error(`the format has version ${version}, and this opsctl knows ${VERSION}`);
}

function idOf(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new Error(`${what} is no id`);
}

function checkProperties(properties: unknown): void {
  if (!isObject(properties)) throw new Error("the properties are no object");
  for (const name in properties) {
    const value = properties[name];
    const isGood = Array.isArray(value) ? value.every(isValue) : isValue(value);
    if (!isGood) throw new Error(`the property ${JSON.stringify(name)} is of no type of this format`);
  }
}

function isValue(value: unknown): boolean {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return true;
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  return names.length === 1 && isTagged(names[0]!, value[names[0]!]);
}

function isTagged(type: string, value: unknown): boolean {
  if (type === "int") return typeof value === "string" && isInteger(value);
  if (type === "float") return value === "NaN" || value === "Infinity" || value === "-Infinity";
  if (type === "bytes") return typeof value === "string" && isBase64(value);
  if (!Array.isArray(value) || !PARTS.get(type)?.includes(value.length)) return false;
  return value.every((part, i) => isPart(type, part, i));
}

function isPart(type: string, part: unknown, place: number): boolean {
  if (type === "datetime" && place === 2 && typeof part === "string") return true;
  if (type === "point" && place > 0)
    return typeof part === "number" || (isObject(part) && isTagged("float", part["float"]));
  return Number.isSafeInteger(part) || (isObject(part) && isTagged("int", part["int"]));
}

function isInteger(text: string): boolean {
  if (!/^-?\d{1,19}$/.test(text)) return false;
  const value = BigInt(text);
  return value >= -MAX_INT && value < MAX_INT;
}

function isBase64(text: string): boolean {
  return (
    text.length % 4 === 0 &&
    !/[^A-Za-z0-9+/]/.test(text.slice(0, -2)) &&
    /^[A-Za-z0-9+/]?[A-Za-z0-9+/]?=?=?$/.test(text.slice(-2))
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
