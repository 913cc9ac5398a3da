import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Corpus, recallDev } from "../../scripts/bench/lib/dataset.ts";
import { type Rankings, sameTopTen } from "../../scripts/bench/lib/measures.ts";
import { rankOnServer, rankOnSqlite } from "../../scripts/bench/lib/opsctl-recall.ts";
import { onEmptyNeo4j, onFreshPostgres } from "../../scripts/bench/lib/servers.ts";
import type { Target } from "../../src/config/targets.ts";
import { neo4jTarget } from "../support/neo4j.ts";
import { neo4jServer, testVariable } from "../support/servers.ts";

/** As promised by the ranking's recipe: the stores' own orders may differ beyond the first 500 candidates. */
const OTHER_LISTS = 1;

/** A part of one corpus; `npm run bench:recall` has all of both, and measures what is found. */
describe("recall on the tuning split, three real stores", () => {
  const [, { reports, queries: asked, store }] = recallDev() as [Corpus, Corpus];
  const corpora: Corpus[] = [{ store, reports: reports.slice(0, 250), queries: asked.slice(0, 15) }];
  const queries = corpora.flatMap((corpus) => corpus.queries);
  const rankings: Record<string, Rankings> = {};

  beforeAll(async () => {
    const url = testVariable("OPSCTL_TEST_DATABASE_URL");
    const postgres: Target = { engine: "postgres", url, shown: "", identity: "" };
    rankings["SQLite"] = await overStores(rankOnSqlite);
    rankings["PostgreSQL"] = await overStores((corpus) =>
      onFreshPostgres(postgres, (fresh) => rankOnServer(corpus, fresh)),
    );
    await neo4jServer().wipe();
    rankings["Neo4j"] = await overStores((corpus) =>
      onEmptyNeo4j(neo4jTarget(), () => rankOnServer(corpus, neo4jTarget())),
    );
  });
  afterAll(() => neo4jServer().wipe());

  it.each(["PostgreSQL", "Neo4j"])("%s gives the same lists as SQLite", (name) => {
    expect(sameTopTen(rankings["SQLite"]!, rankings[name]!)).toBeGreaterThanOrEqual(
      queries.length - OTHER_LISTS,
    );
  });

  async function overStores(rankStore: (corpus: Corpus) => Promise<Rankings>): Promise<Rankings> {
    const all: (readonly string[])[] = [];
    for (const corpus of corpora) all.push(...(await rankStore(corpus)));
    return all;
  }
});
