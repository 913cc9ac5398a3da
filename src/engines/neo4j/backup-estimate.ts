import type { Bolt } from "./bolt.ts";

/** Of what a database holds so many are looked at, to estimate its size. */
const SAMPLE = 100;

/** What a database holds, roughly. */
export interface Estimate {
  nodes: number;
  relationships: number;
  /** Of all of them as Bolt sends them. */
  bytes: number;
  edition: string;
}

/** Asks a server over Bolt, in a transaction of its own. */
export async function estimate(bolt: Bolt): Promise<Estimate> {
  await bolt.begin({ mode: "r" });
  const [components] = await bolt.rows(
    "CALL dbms.components() YIELD name, edition WHERE name = 'Neo4j Kernel' RETURN edition",
  );
  const nodes = await sampled(bolt, "MATCH (n) RETURN count(n)", "MATCH (n) RETURN n");
  const relationships = await sampled(bolt, "MATCH ()-[r]->() RETURN count(r)", "MATCH ()-[r]->() RETURN r");
  await bolt.commit();
  return {
    nodes: nodes.count,
    relationships: relationships.count,
    bytes: nodes.bytes + relationships.bytes,
    edition: String(components?.[0] ?? "unknown"),
  };
}

/** How many there are comes from the server's own statistics, at no cost. */
async function sampled(
  bolt: Bolt,
  counting: string,
  listing: string,
): Promise<{ count: number; bytes: number }> {
  const [row] = await bolt.rows(counting);
  const count = Number(row?.[0] ?? 0);
  let records = 0;
  let bytes = 0;
  await bolt.records(`${listing} LIMIT ${SAMPLE}`, {}, (record) => {
    records += 1;
    bytes += record.end - record.at;
    record.at = record.end;
    return undefined;
  });
  return { count, bytes: records === 0 ? 0 : (bytes / records) * count };
}
