/** Where the migrations of a benchmark go. */
import { dirname, join } from "node:path";
import { startPostgres } from "../../../services/postgres.ts";
import { onPath } from "../../../services/shell.ts";

export interface Running {
  /** With `sslmode`, about whose default the tools disagree, and with the port. */
  url: URL;
  /** Folder with psql and pg_dump. */
  bin: string;
  stop(): Promise<void>;
}

/** The server of `url`, or one that is started below `folder`, with fsync. @throws Error when psql is missing */
export async function benchPostgres(
  url: string | undefined,
  folder: string,
  signal: AbortSignal,
): Promise<Running> {
  if (!url) {
    const { url: own, bin, stop } = await startPostgres({ dir: join(folder, "postgres"), signal });
    return { url: completed(own), bin, stop };
  }
  const psql = onPath("psql");
  if (!psql) throw new Error("psql is not installed");
  return { url: completed(url), bin: dirname(psql), stop: async () => {} };
}

function completed(url: string): URL {
  const full = new URL(url);
  if (!full.searchParams.has("sslmode")) full.searchParams.set("sslmode", "disable");
  full.port ||= "5432";
  return full;
}
