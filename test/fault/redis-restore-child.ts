/** A restore or a drill in a process of its own, which can be killed: `what url folder path method`. What it saves is in `folder/saved.json`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RestoreMethod, restored, restoreOf } from "../integration/redis-restore-kit.ts";

const [what, url = "", folder = "", path = "", last] = process.argv.slice(2);
if (what === "drill") await restoreOf(url, folder, { path, server: last }).drill();
else
  await restored(url, folder, {
    path,
    method: last as RestoreMethod,
    onSave: (saved) => writeFileSync(join(folder, "saved.json"), JSON.stringify(saved)),
  });
