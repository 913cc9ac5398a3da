import type { Context, Result } from "./command.ts";
import { engineNames } from "./engines.ts";

const WITH_GRANTS = ["neo4j", "postgres", "redis"] as const;

/** Prints what an operator runs once as administrator, so that backups need no more than they do. Asks no server. */
export async function grants({ app }: Context, args: string[]): Promise<Result> {
  const names = engineNames(args.length === 0 ? ["all"] : args, WITH_GRANTS);
  const texts = await Promise.all(
    names.map(async (engine) => ({ engine, text: await app.backupGrants(engine) })),
  );
  const data = { grants: texts };
  return {
    data,
    render: async (io) => {
      for (const { text } of texts) await io.out(`${text.trimEnd()}\n${texts.length > 1 ? "\n" : ""}`);
    },
  };
}
