/** Values of the driver as JSON can hold them. */

/** Turns one value, and what is in it, into plain data. */
interface Plain {
  plain(value: unknown): unknown;
}

/** Loads the driver, which knows its own types. */
export async function plainValue(): Promise<Plain> {
  const driver = (await import("neo4j-driver")).default;

  const entries = (properties: object) =>
    Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, plain(value)]));
  const structure = (value: object): unknown => {
    if (driver.isNode(value)) {
      return { labels: value.labels, properties: entries(value.properties), id: value.elementId };
    }
    if (driver.isRelationship(value)) {
      const { type, properties, elementId, startNodeElementId, endNodeElementId } = value;
      return {
        type,
        properties: entries(properties),
        id: elementId,
        start: startNodeElementId,
        end: endNodeElementId,
      };
    }
    if (driver.isPath(value)) {
      const nodes = [value.start, ...value.segments.map(({ end }) => end)];
      return {
        nodes: nodes.map(plain),
        relationships: value.segments.map(({ relationship }) => plain(relationship)),
      };
    }
    if (driver.isPoint(value)) {
      const { srid, x, y, z } = value;
      return { srid: plain(srid), x, y, ...(z === undefined ? {} : { z }) };
    }
    if (driver.isDuration(value)) return isoDuration(value);
    // dates and times write themselves as ISO 8601
    const isPlain = Object.getPrototypeOf(value) === Object.prototype;
    return isPlain ? entries(value) : String(value);
  };
  function plain(value: unknown): unknown {
    if (value === null || value === undefined) return null;
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
    if (typeof value !== "object") return value;
    if (ArrayBuffer.isView(value)) {
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
    }
    return Array.isArray(value) ? value.map(plain) : structure(value);
  }
  return { plain };
}

const SECOND_NS = 1_000_000_000n;

/** As the server's own toString() writes it, canonical ISO 8601: the driver's has `P1DT`, and always nine places. */
function isoDuration(value: {
  months: unknown;
  days: unknown;
  seconds: unknown;
  nanoseconds: unknown;
}): string {
  const [months, days, seconds, nanos] = [value.months, value.days, value.seconds, value.nanoseconds].map(
    (part) => BigInt(String(part)),
  ) as [bigint, bigint, bigint, bigint];
  const total = seconds * SECOND_NS + nanos;
  const minute = 60n * SECOND_NS;
  const date = parts([months / 12n, "Y"], [months % 12n, "M"], [days, "D"]);
  const time =
    parts([total / (60n * minute), "H"], [(total / minute) % 60n, "M"]) + secondsOf(total % minute);
  return date + time === "" ? "PT0S" : `P${date}${time === "" ? "" : `T${time}`}`;
}

/** Those that are not zero. */
function parts(...given: readonly (readonly [bigint, string])[]): string {
  return given.map(([amount, unit]) => (amount === 0n ? "" : `${amount}${unit}`)).join("");
}

/** @param nanoseconds less than a minute, of either sign */
function secondsOf(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return "";
  const amount = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(amount % SECOND_NS)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${nanoseconds < 0n ? "-" : ""}${amount / SECOND_NS}${fraction === "" ? "" : `.${fraction}`}S`;
}
