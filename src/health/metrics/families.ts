import type { Family } from "./family.ts";
import { HOST_FAMILIES } from "./host-families.ts";
import { NEO4J_FAMILIES } from "./neo4j-families.ts";
import { POSTGRES_FAMILIES } from "./postgres-families.ts";
import { REDIS_FAMILIES } from "./redis-families.ts";
import { SQLITE_FAMILIES } from "./sqlite-families.ts";
import { STACK_FAMILIES } from "./stack-families.ts";

/** Every metric there is: the exposition and the alert rules are made from this list. */
export const FAMILIES: readonly Family[] = [
  ...STACK_FAMILIES,
  ...HOST_FAMILIES,
  ...POSTGRES_FAMILIES,
  ...NEO4J_FAMILIES,
  ...REDIS_FAMILIES,
  ...SQLITE_FAMILIES,
];
