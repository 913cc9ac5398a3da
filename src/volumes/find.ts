/** Which volumes belong to an engine. */
import { type EngineName, OpsError, usageError } from "../errors.ts";

/** A volume, and the folder below that of its engine that it becomes; empty: that of the engine itself. */
export interface Found {
  volume: string;
  folder: string;
}

/** As compose files call them, behind the name of their project. A second group is the folder. */
const PATTERNS: Readonly<Record<EngineName, RegExp>> = {
  neo4j: /^(?:.*[-_.])?(neo4j)(?:[-_.]?(data|logs|plugins|import|conf))?$/i,
  postgres: /^(?:.*[-_.])?(postgres|postgresql|pg|pgvector)(?:[-_.]?data)?$/i,
  redis: /^(?:.*[-_.])?(redis)(?:[-_.]?data)?$/i,
  // nobody runs it in a container of its own
  sqlite: /^(?:.*[-_.])?(sqlite)(?:[-_.]?data)?$/i,
};

/**
 * The volumes of an engine by their names.
 * @param named by the operator: they are those of the engine, whatever others are called
 * @throws OpsError `usage` when several could be the same folder
 */
export function findVolumes(engine: EngineName, names: readonly string[], named: readonly Found[]): Found[] {
  if (named.length > 0) return [...named];
  const found = names.flatMap((volume): Found[] => {
    const match = PATTERNS[engine].exec(volume);
    if (!match) return [];
    return [{ volume, folder: engine === "neo4j" ? (match[2] ?? "data").toLowerCase() : "" }];
  });
  for (const [folder, several] of Map.groupBy(found, (one) => one.folder)) {
    if (several.length === 1) continue;
    const place = folder === "" ? engine : `${engine}/${folder}`;
    throw usageError(
      `several volumes could be that of ${place}: ${several.map(({ volume }) => volume).join(", ")}`,
      `name one: --volume ${place}=${several[0]!.volume}`,
    );
  }
  return found;
}

/** @throws OpsError `not_found` for a volume that was named and is not there */
export function requireVolumes(found: readonly Found[], names: readonly string[]): void {
  const missing = found.find(({ volume }) => !names.includes(volume));
  if (!missing) return;
  throw new OpsError({
    code: "not_found",
    message: `there is no Docker volume ${missing.volume}`,
    hint: "docker volume ls shows those that there are",
  });
}
