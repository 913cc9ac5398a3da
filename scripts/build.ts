/** Bundles src/ into dist/: one entry, lazily loaded chunks, drivers included (better-sqlite3 stays a package). */
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

rmSync(join(root, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ["src/main.ts"],
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node22.15",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "linked",
  chunkNames: "chunks/[name]-[hash]",
  external: ["better-sqlite3", "pg-native"],
  define: { OPSCTL_VERSION: JSON.stringify(version) },
  // CommonJS packages inside an ES module bundle still call require() for Node's own modules.
  banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
});
