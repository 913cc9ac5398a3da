/** Bits of real archives are flipped, and archives cut off: what verification says must be true. */
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Archive, readArchive, sidecarPath } from "../../src/backup/archives.ts";
import { type Container, METADATA_FILE } from "../../src/backup/metadata.ts";
import { openSet } from "../../src/backup/reader.ts";
import { verifyArchive } from "../../src/backup/verify.ts";
import { testCall } from "../support/calls.ts";
import { type Files, makeSet } from "../unit/backup/set-kit.ts";

/** How many of the damaged archives were found damaged, and how many were passed with every extracted byte as it was. */
export interface Tally {
  found: number;
  harmless: number;
}

/** An archive with several compressed pieces and several files. */
export class Victim {
  readonly #folder = mkdtempSync(join(tmpdir(), "opsctl-flips-"));
  readonly #scratch = mkdtempSync(join(tmpdir(), "opsctl-flips-scratch-"));
  readonly #random: () => number;
  #archive!: Archive;
  #digests!: Map<string, string>;
  /** Files whose bytes may be hit, sidecars not among them. */
  #targets!: string[];

  private constructor(random: () => number) {
    this.#random = random;
  }

  static async make(container: Container, random: () => number): Promise<Victim> {
    const victim = new Victim(random);
    victim.#archive = await makeSet(victim.#folder, container, filesOf(random));
    victim.#digests = await victim.#read();
    const { path } = victim.#archive;
    victim.#targets =
      container === "dir"
        ? readdirSync(path, { recursive: true, encoding: "utf8" })
            .map((name) => join(path, name))
            .filter((name) => statSync(name).isFile())
        : [path];
    return victim;
  }

  /** Verification passes over a sidecar that is not there. */
  removeSidecar(): void {
    rmSync(sidecarPath(this.#archive.path), { force: true });
  }

  /** Flips one random bit after the other, each in an otherwise whole archive. */
  async flip(count: number, hasSidecar: boolean): Promise<Tally> {
    const tally: Tally = { found: 0, harmless: 0 };
    for (let done = 0; done < count; done += 1) {
      const { path, size } = this.#target();
      const bit = Math.floor(this.#random() * size * 8);
      flipBit(path, bit);
      await this.#judge(`bit ${bit} of ${path}`, hasSidecar, tally);
      flipBit(path, bit);
    }
    return tally;
  }

  /** Cuts at random places: inside of pieces, headers and the end. */
  async truncate(count: number, hasSidecar: boolean): Promise<Tally> {
    const tally: Tally = { found: 0, harmless: 0 };
    for (let done = 0; done < count; done += 1) {
      const { path, size } = this.#target();
      const whole = readFileSync(path);
      // the last bytes are as likely as all others together: there ends what is easy to miss
      const range = this.#random() < 0.5 ? size : Math.min(size, 64);
      const length = size - 1 - Math.floor(this.#random() * range);
      truncateSync(path, Math.max(0, length));
      await this.#judge(`${length} of ${size} bytes of ${path}`, hasSidecar, tally);
      writeFileSync(path, whole);
    }
    return tally;
  }

  remove(): void {
    for (const path of [this.#folder, this.#scratch]) rmSync(path, { recursive: true, force: true });
  }

  /** One of the files, by size. */
  #target(): { path: string; size: number } {
    const sizes = this.#targets
      .map((path) => ({ path, size: statSync(path).size }))
      .filter(({ size }) => size > 0);
    const at = this.#random() * sizes.reduce((sum, { size }) => sum + size, 0);
    let end = 0;
    for (const target of sizes) {
      end += target.size;
      if (at < end) return target;
    }
    return sizes[0]!;
  }

  async #judge(what: string, hasSidecar: boolean, tally: Tally): Promise<void> {
    const archive = await readArchive(this.#archive.path);
    const tools = {
      parsers: () => Promise.reject(new Error("nothing is parsed here")),
      scratchParent: this.#scratch,
    };
    const ok = await verifyArchive(testCall(), archive, "checksums", tools).then(
      (found) => found.ok,
      (error: Error) => {
        // a flipped version is refused as that of a newer opsctl
        if (hasSidecar || !/has format version/.test(error.message)) throw error;
        return false;
      },
    );
    if (!hasSidecar) this.removeSidecar();
    if (!ok) {
      tally.found += 1;
      return;
    }
    if (hasSidecar) throw new Error(`not found: ${what}`);
    const now = await this.#read();
    for (const [path, digest] of this.#digests)
      if (now.get(path) !== digest) throw new Error(`not found, and ${path} has other bytes: ${what}`);
    tally.harmless += 1;
  }

  /** SHA-256 of every file that comes out. A folder's metadata has nothing but the sidecar to vouch for it. */
  async #read(): Promise<Map<string, string>> {
    const set = await openSet(testCall(), this.#archive, undefined);
    try {
      const digests = new Map<string, string>();
      for await (const { path, content } of set.entries()) {
        const hash = createHash("sha256");
        for await (const chunk of content) hash.update(chunk);
        if (this.#archive.container !== "dir" || path !== METADATA_FILE)
          digests.set(path, hash.digest("hex"));
      }
      return digests;
    } finally {
      await set.close();
    }
  }
}

/** Some that compress well, some that do not, one that is empty. */
function filesOf(random: () => number): Files {
  const noise = Buffer.from(Array.from({ length: 30_000 }, () => Math.floor(random() * 256)));
  return {
    "sqlite/noise.db": noise,
    "sqlite/text.db": Buffer.from("INSERT INTO users VALUES (1, 'ada');\n".repeat(2_000)),
    "sqlite/empty.db": Buffer.alloc(0),
    "sqlite/zeros.db": Buffer.alloc(20_000),
  };
}

function flipBit(path: string, bit: number): void {
  const byte = readFileSync(path)[bit >> 3]!;
  const handle = openSync(path, "r+");
  writeSync(handle, Buffer.from([byte ^ (1 << (bit & 7))]), 0, 1, bit >> 3);
  closeSync(handle);
}
