/** pgvector for the PostgreSQL of this machine: a package where there is one, else built from Debian's source. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { aptGet, aptInstall, aptUpdate, debianArchive, firstAvailable } from "./apt.ts";
import { type Log, mustRun, onPath } from "./shell.ts";
import type { PostgresTools } from "./tools.ts";

/** The Debian release whose source package is built where the machine's own release has none. */
const SOURCE_SUITE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Installs pgvector; needs root and apt. Throws when neither a package nor the source can be had. */
export async function installPgvector(postgres: PostgresTools, log: Log): Promise<void> {
  await aptUpdate(log);
  const packaged = await firstAvailable([`postgresql-${postgres.major}-pgvector`]);
  if (packaged) return aptInstall([packaged], log);

  const archive = await debianArchive();
  if (!archive) throw new Error("pgvector: no package in this machine's sources, and they are not Debian's");
  log(`building pgvector from the source package of Debian ${SOURCE_SUITE}`);
  const compiler = onPath("gcc") && existsSync("/usr/include/stdio.h");
  if (!compiler || !onPath("make")) await aptInstall(["gcc", "libc6-dev", "make"], log);

  const folder = mkdtempSync(join(tmpdir(), "opsctl-pgvector-"));
  try {
    // apt downloads as a user of its own.
    chmodSync(folder, 0o755);
    await downloadSource(folder, archive, log);
    await build(folder, postgres, log);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Own package lists, so that the machine's apt never learns of the other release. */
async function downloadSource(folder: string, archive: string, log: Log): Promise<void> {
  const lists = join(folder, "lists");
  const sources = join(folder, "source.sources");
  mkdirSync(join(lists, "partial"), { recursive: true });
  const lines = ["Types: deb-src", `URIs: ${archive}`, `Suites: ${SOURCE_SUITE}`, "Components: main"];
  if (existsSync(KEYRING)) lines.push(`Signed-By: ${KEYRING}`);
  writeFileSync(sources, `${lines.join("\n")}\n`);
  const options = [
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::Etc::SourceList=${sources}`,
    `Dir::State::Lists=${lists}`,
  ];
  const own = options.flatMap((option) => ["-o", option]);
  await aptGet([...own, "update"], folder, log);
  await aptGet([...own, "source", "--download-only", "pgvector"], folder, log);
}

async function build(folder: string, postgres: PostgresTools, log: Log): Promise<void> {
  const headers = await serverHeaders(folder, postgres, log);
  const source = join(folder, "source");
  mkdirSync(source);
  const archive = readdirSync(folder).find((name) => /^pgvector_.*\.orig\.tar\.\w+$/.test(name));
  if (!archive) throw new Error("pgvector: the source package holds no .orig.tar");
  await mustRun("tar", ["-xf", join(folder, archive), "--strip-components=1", "-C", source]);
  // OPTFLAGS="" leaves out -march=native; without LLVM bitcode neither clang nor llvm is needed.
  const settings = ["OPTFLAGS=", "with_llvm=no", `PG_CONFIG=${join(postgres.bin, "pg_config")}`];
  await mustRun("make", [`-j${availableParallelism()}`, ...settings, ...headers], { cwd: source });
  await mustRun("make", ["install", ...settings], { cwd: source });
}

/**
 * The server's header files. The development package is unpacked, not installed: installing it brings clang and may
 * upgrade, and so restart, the machine's PostgreSQL.
 */
async function serverHeaders(folder: string, postgres: PostgresTools, log: Log): Promise<string[]> {
  const installed = await mustRun(join(postgres.bin, "pg_config"), ["--includedir-server"]);
  if (existsSync(join(installed.trim(), "postgres.h"))) return [];
  await aptGet(["download", `postgresql-server-dev-${postgres.major}`], folder, log);
  const file = readdirSync(folder).find((name) => name.startsWith("postgresql-server-dev-"));
  if (!file) throw new Error("pgvector: the header package of PostgreSQL was not downloaded");
  await mustRun("dpkg-deb", ["-x", join(folder, file), join(folder, "headers")]);
  return [`includedir_server=${join(folder, "headers", installed.trim())}`];
}
