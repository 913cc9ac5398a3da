import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Drilled, RestoreTask } from "../../restore/port.ts";
import { readHead } from "./restore-entries.ts";
import { onlyFile, parseFile, problemsOf } from "./restore-file.ts";
import { compared, countsOf, sentence } from "./restore-found.ts";
import { ScratchRedis } from "./restore-scratch.ts";

/** Loads the file with a redis-server of its own, where one is installed, after all of it was parsed. */
export async function redisDrill(
  call: Call,
  task: RestoreTask,
  _target: Target | undefined,
  _limits: Limits,
): Promise<Drilled> {
  const nothing = { counts: {}, breakdown: {}, loaded: false, where: "read to its end, without a server" };
  try {
    return await drilled(call, task);
  } catch (error) {
    if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
    return { ...nothing, problems: [error.message], notes: [] };
  }
}

/** @throws OpsError `integrity`: the file is damaged */
async function drilled(call: Call, task: RestoreTask): Promise<Drilled> {
  const file = onlyFile(task.files);
  const contents = await parseFile(call, file);
  const parsed = { counts: { ...contents.counts }, breakdown: { ...contents.breakdown } };
  const problems = problemsOf(contents, task);
  const scratch = await ScratchRedis.start(
    call,
    task.options.redis.server,
    task.work,
    file.local,
    await readHead(file.local),
  );
  if (typeof scratch === "string") {
    const notes = [`no server loaded the file: ${scratch}`];
    return { ...parsed, problems, notes, loaded: false, where: "read to its end, without a server" };
  }
  try {
    const found = countsOf(await scratch.loaded(call));
    const differences = compared(found, contents).map(sentence);
    return {
      // types are counted by the parser only
      counts: { ...parsed.counts, ...found.counts },
      breakdown: { ...parsed.breakdown, ...found.breakdown },
      problems: [...problems, ...differences],
      notes: [],
      loaded: true,
      where: `a redis-server of its own, ${scratch.version}`,
    };
  } finally {
    await scratch.stop();
  }
}
