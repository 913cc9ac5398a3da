import type { Check } from "../check.ts";
import { namesBelow, textBelow } from "../kernel.ts";
import { processes } from "../processes.ts";
import type { StackScope } from "../scope.ts";

const DAEMONS =
  /^(chronyd|ntpd|ntpsec|openntpd|systemd-timesyn|systemd-timesyncd|ptp4l|phc2sys|VBoxService|vmtoolsd)$/;

export const hostClock: Check<StackScope> = {
  id: "host-clock",
  area: "host",
  title: "nothing keeps the clock of this host right",
  looks: "/run/systemd/timesync/synchronized; processes such as chronyd and ntpd",
  run: async (_call, { root }) => {
    if ((await namesBelow(root, "run/systemd/timesync")).includes("synchronized")) return [];
    // a container has the clock of its host
    if ((await textBelow(root, ".dockerenv")) !== undefined) return [];
    if ((await textBelow(root, "run/.containerenv")) !== undefined) return [];
    const daemons = (await processes(root)).filter(({ name }) => DAEMONS.test(name));
    if (daemons.some(({ name }) => !name.startsWith("systemd-timesyn"))) return [];
    return [
      {
        severity: "info",
        subject: "clock of this host",
        evidence:
          daemons.length > 0
            ? "systemd-timesyncd runs, and has not reached a time server yet"
            : "no time service runs (chronyd, ntpd, systemd-timesyncd)",
        cause: "the order of events of several hosts, certificates, schedules and retention go by the clock",
        remedies: [],
        advice: "timedatectl set-ntp true, or install chrony; timedatectl status shows how it is",
      },
    ];
  },
};
