import type { Check } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { dockerContainers } from "./docker-containers.ts";
import { dockerDisk } from "./docker-disk.ts";
import { dockerVolumes } from "./docker-volumes.ts";
import { hostClock } from "./host-clock.ts";
import { hostDisk } from "./host-disk.ts";
import { hostFileLimit } from "./host-file-limit.ts";
import { hostInodes } from "./host-inodes.ts";
import { hostMemory } from "./host-memory.ts";
import { hostNetworkFilesystem, hostReadOnly } from "./host-mounts.ts";
import { hostOom } from "./host-oom.ts";
import { hostOvercommit } from "./host-overcommit.ts";
import { hostPressure } from "./host-pressure.ts";
import { hostSwap } from "./host-swap.ts";
import { hostSwappiness } from "./host-swappiness.ts";
import { hostZombie } from "./host-zombie.ts";
import { securityFileModes } from "./security-files.ts";
import { securitySecretsInGit } from "./security-git.ts";
import {
  securityDefaultUser,
  securityPasswordMissing,
  securityPasswordShared,
  securityPasswordWeak,
} from "./security-passwords.ts";
import { securityProcessPasswords } from "./security-processes.ts";
import { securityTlsOff } from "./security-tls.ts";
import { toolsOlderOther } from "./tools-other.ts";
import { toolsMissing, toolsOlder, toolsVulnerable } from "./tools-postgres.ts";

/** The checks of the host, of security, of client programs and of Docker, in the order in which they run. */
export const hostChecks: readonly Check<StackScope>[] = [
  hostDisk(),
  hostInodes(),
  hostReadOnly,
  hostNetworkFilesystem,
  hostMemory,
  hostSwap,
  hostOvercommit,
  hostOom,
  hostPressure,
  hostFileLimit,
  hostSwappiness,
  hostClock,
  hostZombie,
  securityPasswordMissing,
  securityPasswordWeak,
  securityPasswordShared,
  securityProcessPasswords,
  securityTlsOff,
  securityFileModes,
  securitySecretsInGit,
  securityDefaultUser,
  toolsMissing,
  toolsOlder,
  toolsVulnerable,
  toolsOlderOther,
  dockerContainers,
  dockerDisk(),
  dockerVolumes,
];
