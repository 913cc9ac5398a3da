/**
 * Bundles src/ into dist/: `main.cjs` holds opsctl itself, `vendor/` one file for each heavy package, which is read when it is first
 * needed. Starting is most of what a command costs: as 36 ES module chunks, `opsctl fixes` took 16 ms more (fastest of 20 starts), for
 * finding and linking the files and because importing one of Node's own modules from an ES module loads what it would load lazily.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

const VENDOR = ["age-encryption", "cli-table3", "execa", "ioredis", "neo4j-driver", "pg", "smol-toml", "tar"];
/** Its code is bundled too, but it finds its prebuilt library beside its own package. */
const SQLITE = "better-sqlite3";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const common = {
  absWorkingDir: root,
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node22.15",
  minify: true,
  legalComments: "linked",
  metafile: true,
  // `import("pg")` as a lazy require(): the ES module loader is not started for it
  supported: { "dynamic-import": false },
  outExtension: { ".js": ".cjs" },
} satisfies BuildOptions;

/** Heavy packages are other files, read by the first module that needs them. */
const separateVendors: Plugin = {
  name: "separate-vendors",
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(?:${[...VENDOR, SQLITE].join("|")})$`) }, ({ path }) => ({
      path: `./vendor/${path}.cjs`,
      external: true,
    }));
  },
};

/** Commander loads child_process for subcommands that are programs of their own; opsctl has none. */
const lazyChildProcess: Plugin = {
  name: "lazy-child-process",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[\\/]commander[\\/]/.test(importer) ? { path: "spawn", namespace: "lazy" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "lazy" }, () => ({
      contents: `exports.spawn = (...args) => process.getBuiltinModule("node:child_process").spawn(...args)`,
    }));
  },
};

const builds = await Promise.all([
  build({
    ...common,
    // the thread of SQLite backups and the process of a query on a SQLite file load files of their own
    entryPoints: {
      main: "src/main.ts",
      "sqlite-worker": "src/engines/sqlite/backup-worker.ts",
      "sqlite-query": "src/engines/sqlite/query-child.ts",
    },
    outdir: "dist",
    define: { OPSCTL_VERSION: JSON.stringify(version), "import.meta.dirname": "__dirname" },
    plugins: [separateVendors, lazyChildProcess],
  }),
  build({ ...common, entryPoints: VENDOR, outdir: "dist/vendor", external: ["pg-native"] }),
  build({
    ...common,
    entryPoints: [SQLITE],
    outdir: "dist/vendor",
    define: { __dirname: "packageFolder" },
    banner: { js: `const packageFolder = require("node:path").dirname(require.resolve("${SQLITE}"));` },
  }),
]);

/** Names, versions and licence texts of the packages whose code is in the bundle. */
function thirdPartyNotices(inputs: string[]): string {
  const folders = new Set(
    inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []),
  );
  const notices = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
    const text = file ? readFileSync(join(root, folder, file), "utf8").trim() : "";
    return `${name} ${version} (${license})\n\n${text}`;
  });
  return `${notices.join(`\n\n${"-".repeat(72)}\n\n`)}\n`;
}

writeFileSync(
  join(root, "dist", "THIRD-PARTY.txt"),
  thirdPartyNotices(builds.flatMap(({ metafile }) => Object.keys(metafile.inputs))),
);

// written over what was there, so that an opsctl which runs meanwhile still finds its files; then without what is left from before
const written = new Set([
  "dist/THIRD-PARTY.txt",
  ...builds.flatMap(({ metafile }) => Object.keys(metafile.outputs)),
]);
for (const entry of readdirSync(join(root, "dist"), { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && !written.has(relative(root, path).replaceAll("\\", "/"))) rmSync(path);
}
