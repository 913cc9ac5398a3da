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
    // dates, times and durations write themselves as ISO 8601
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
