import { defineConfig } from "vitest/config";

/** Neo4j Community has one database, so the tests that use it run one after another, beside the others. */
const NEO4J = ["test/**/*neo4j*.test.ts", "test/**/stack*.test.ts"];
const CAMPAIGNS = "test/fault/**/*.campaign.test.ts";

export default defineConfig({
  test: {
    globalSetup: ["test/support/build.ts"],
    testTimeout: 60_000,
    hookTimeout: 240_000,
    // servers are frozen, killed and starved here: what fails once and not again is named at the end of `npm test`
    retry: 2,
    projects: [
      {
        extends: true,
        test: {
          name: "parallel",
          include: ["test/**/*.test.ts"],
          exclude: [...NEO4J, CAMPAIGNS],
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: { name: "neo4j", include: NEO4J, exclude: [CAMPAIGNS], fileParallelism: false, maxWorkers: 1 },
      },
    ],
  },
});
