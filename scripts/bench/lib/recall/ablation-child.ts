/** `node ablation-child.ts [NAME VALUE]`: nDCG@10 of each way, as JSON, with one tuned constant or one signal's weight changed. */
import { registerHooks } from "node:module";

const [name, value] = process.argv.slice(2);
if (name !== undefined) {
  let isChanged = false;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith("/src/memory/tuning.ts")) return loaded;
      const place = new RegExp(`(export const ${name} = |^  ${name}: )-?[\\d._]+`, "gm");
      const source = String(loaded.source);
      if (source.match(place)?.length !== 1) throw new Error(`tuning.ts does not set ${name} just once`);
      isChanged = true;
      return { ...loaded, source: source.replace(place, `$1${value}`) };
    },
  });
  process.once("exit", () => {
    if (!isChanged) process.exitCode = 1;
  });
}
// after the hook is in place
const { recallDev } = await import("../dataset.ts");
const { ndcgByWay } = await import("./quality.ts");
process.stdout.write(JSON.stringify(await ndcgByWay(recallDev())));
