#!/usr/bin/env node
// Launcher: everything before the version check must parse on any Node that knows ES modules.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `opsctl needs Node.js 22.15 or newer, this is ${process.versions.node}. Install Node.js 24 (LTS).\n`,
  );
  process.exitCode = 2;
} else {
  process.umask(0o077);
  // libuv reads it when its pool is first used; its own 4 threads would leave the other cores of a larger machine without work in a backup
  const cores = process.getBuiltinModule("node:os").availableParallelism();
  // biome-ignore lint/style/noProcessEnv: libuv knows no other place
  if (cores > 4) process.env.UV_THREADPOOL_SIZE ??= String(Math.min(16, cores));
  const nodeModule = process.getBuiltinModule("node:module");
  nodeModule.enableCompileCache();
  const { main } = nodeModule.createRequire(import.meta.url)("../dist/main.cjs");
  await main(process.argv.slice(2));
}
