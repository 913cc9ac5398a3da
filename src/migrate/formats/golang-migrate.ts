/**
 * golang-migrate: `000001_create_users.up.sql` with `000001_create_users.down.sql`
 * (github.com/golang-migrate/migrate, source/parse.go). It skips names that it does not know; Go files are skipped here too, because
 * `go:embed` wants one beside the files.
 */
import type { FormatReader } from "./format.ts";
import { readPairs } from "./pairs.ts";
import { wordsOf } from "./slug.ts";

const NAME = /^(\d+)_(.*)\.(down|up)\.([^.]+)$/;

export const golangMigrateFormat: FormatReader = {
  format: "golang-migrate",
  unit: "file",
  sqlOnly: false,
  parse(name) {
    const match = NAME.exec(name);
    if (!match) return null;
    const [, version, description, direction, extension] = match as unknown as string[];
    return {
      name,
      version: version!,
      seq: Number(version),
      description: wordsOf(description!),
      direction: direction === "down" ? "down" : "up",
      extension: extension!,
    };
  },
  ignores: (name) => name.endsWith(".go"),
  nameOf: (version, description, direction, extension) =>
    `${version}_${description}.${direction}.${extension}`,
  read: readPairs,
};
