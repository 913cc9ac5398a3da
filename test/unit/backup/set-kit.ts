/** Archives to read: those that a run makes of given bytes, and those that only an enemy makes. */
import { createHash } from "node:crypto";
import type { Container } from "../../../src/backup/metadata.ts";
import type { BackupPart, ParseFile } from "../../../src/backup/port.ts";
import { type Encrypt, runBackup } from "../../../src/backup/run.ts";
import { testCall } from "../../support/calls.ts";

/** Paths in the set and their bytes. */
export type Files = Readonly<Record<string, Buffer>>;

/** A real archive in a folder, made by the run; `lines` are the counts of its one part. */
export async function makeSet(
  folder: string,
  container: Container,
  files: Files,
  { encrypt, name }: { encrypt?: Encrypt; name?: string } = {},
) {
  const { archive } = await runBackup(testCall(), {
    parts: [partOf(files)],
    folder,
    container,
    name,
    wants: () => true,
    encrypt,
    stallMs: 60_000,
    ownSettings: {},
    opsctlVersion: "0.0.0",
    catalogue: {
      nextSequence: async (_call, least) => least + 1,
      add: async () => {},
      knows: async () => false,
    },
  });
  return archive;
}

function partOf(files: Files): BackupPart {
  const contents = Object.values(files);
  return {
    engine: "sqlite",
    name: "files",
    source: "memory",
    isSlowToPrepare: false,
    open: async () => ({ server_version: null, tools: [], estimate_bytes: 0, scratch_bytes: 0, notes: [] }),
    prepare: async () => ({ at: Date.now(), identity: {} }),
    async copy(_call, out) {
      for (const [path, content] of Object.entries(files)) {
        const file = await out.file(path, "sqlite-database");
        await file.write(content);
        await file.end();
      }
      const lines = Math.max(...contents.map(linesOf));
      return { consistency: "consistent", reason: null, counts: { lines }, breakdown: {} };
    },
    close: async () => {},
  };
}

function linesOf(content: Uint8Array): number {
  return content.filter((byte) => byte === 10).length;
}

/** Counts lines, and keeps what it saw. */
export function lineParser(seen: Map<string, string>): ParseFile {
  return async (_call, { path, content }) => {
    let lines = 0;
    const hash = createHash("sha256");
    for await (const chunk of content) {
      hash.update(chunk);
      lines += linesOf(chunk);
    }
    seen.set(path, hash.digest("hex"));
    return { counts: { lines, unknown: 1 }, breakdown: {} };
  };
}

export const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

/** One entry of a tar as its header is written, right or not. */
export interface RawEntry {
  path: string;
  content?: Buffer;
  type?: string;
  link?: string;
  /** Size in the header, when it is another. */
  size?: number;
}

/** A plain ustar of any entries, with right checksums. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = Buffer.alloc(0), type = "0", link = "", size }) => {
    const header = Buffer.alloc(512);
    header.write(path, 0, 100, "utf8");
    header.write("0000600\0", 100);
    header.write(`${(size ?? content.length).toString(8).padStart(11, "0")}\0`, 124);
    header.write(type, 156);
    header.write(link, 157, 100, "utf8");
    header.write("ustar\x0000", 257, "latin1");
    header.write("        ", 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
