import type { Check } from "../check.ts";
import { textBelow } from "../kernel.ts";
import type { StackScope } from "../scope.ts";

/** Share of the last five minutes in which everything waited, per cent. */
const STALLED_PERCENT = 20;
const RESOURCES = [
  {
    name: "io",
    what: "the disk",
    advice: "iotop -o shows who reads and writes; move data to a faster disk, or backups to a quieter hour",
  },
  {
    name: "memory",
    what: "memory",
    advice: "give the databases less memory or the host more; vmstat 1 shows what is swapped",
  },
];

export const hostPressure: Check<StackScope> = {
  id: "host-pressure",
  area: "host",
  title: "processes of this host wait for its disk or memory",
  looks: "`full avg300` in /proc/pressure/io and /proc/pressure/memory",
  run: async (_call, { root }) => {
    const found = await Promise.all(
      RESOURCES.map(async ({ name, what, advice }) => {
        // kernels before 4.20, and those built without it, have no such file
        const text = (await textBelow(root, `proc/pressure/${name}`)) ?? "";
        const full = Number(/^full .*avg300=([\d.]+)/m.exec(text)?.[1] ?? 0);
        if (full < STALLED_PERCENT) return [];
        return [
          {
            severity: "info" as const,
            subject: `pressure on ${what}`,
            evidence: `in ${full} % of the last five minutes nothing ran because everything waited for ${what}`,
            cause: "queries take longer by what they wait",
            remedies: [],
            advice,
          },
        ];
      }),
    );
    return found.flat();
  },
};
