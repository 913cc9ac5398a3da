import { defineConfig } from "vitest/config";

/** The long fault campaigns; `npm test` runs seeded samples of them. */
export default defineConfig({
  test: {
    include: ["test/fault/**/*.campaign.test.ts"],
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
    fileParallelism: false,
    maxWorkers: 1,
  },
});
