/**
 * What a database holds, all of it, as digests: two that are equal show the same to whoever asks. Made by other means than opsctl's own readers,
 * in streams, and independent of the order in which a server gives its rows, keys and nodes. Nobody must write meanwhile.
 */
export { neo4jDigest } from "./deep-digest/neo4j.ts";
export { postgresDigest } from "./deep-digest/postgres.ts";
export { redisDigest } from "./deep-digest/redis.ts";
export { sqliteDigest } from "./deep-digest/sqlite.ts";

/** By what it is of (`rows public.users`, `constraints`): a comparison of two names what differs. */
export type DeepDigest = Readonly<Record<string, string>>;
