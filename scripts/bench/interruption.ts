/** Aborted by SIGINT and SIGTERM: servers are stopped then, and the exit code is the signal's. */
export function interruptionSignal(): AbortSignal {
  const interruption = new AbortController();
  for (const [name, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(name, () => {
      process.exitCode = code;
      interruption.abort(new Error(`interrupted by ${name}`));
    });
  }
  return interruption.signal;
}
