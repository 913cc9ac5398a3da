import { Damaged } from "./damaged.ts";
import { METADATA_FILE, type Metadata } from "./metadata.ts";

/** Of a `metadata.json`, which is read into memory. */
export const MAX_METADATA_BYTES = 64 * 1024 * 1024;
/** Without metadata: entries, and bytes for each of the archive's once there are more than `FREE_BYTES`. gzip reaches 1,032, data does not. */
const MAX_ENTRIES = 100_000;
const MAX_RATIO = 1_000;
const FREE_BYTES = 64 * 1024 * 1024;

/** Looks at the entries of a hostile archive before their bytes are: their names, how many they are and how much they say they hold. */
export class SetGuard {
  readonly #name: string;
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #seen = new Set<string>();
  #root: string | undefined;
  #bytes = 0;

  /** @param metadata known from the sidecar; undefined: the archive's size limits what it may hold */
  constructor(name: string, packedBytes: number, metadata: Metadata | undefined) {
    this.#name = name;
    const known = metadata?.files.reduce((sum, { size_bytes: size }) => sum + size, MAX_METADATA_BYTES);
    this.#maxBytes = known ?? Math.max(FREE_BYTES, packedBytes * MAX_RATIO);
    // each file may have folders of its own
    this.#maxEntries = metadata === undefined ? MAX_ENTRIES : metadata.files.length * 4 + 100;
  }

  /**
   * @param path in the archive: below one folder (also as `./FOLDER`), or below `./` when that comes first, as `tar -C FOLDER .` has it
   * @returns the path below that folder; empty for the folder itself
   * @throws Damaged
   */
  enter(path: string, isFolder: boolean, size: number): string {
    const isDot = this.#root === undefined && isFolder && (path === "." || path === "./");
    const plain = path.startsWith("./") ? path.slice(2) : path;
    if (!isDot) requireSafe(plain, path, this.#name);
    const named = isDot || this.#root === "." ? path : plain;
    const [root, ...rest] = named.split("/").filter((part) => part !== "");
    this.#root ??= root;
    if (root !== this.#root || (rest.length === 0 && !isFolder))
      throw new Damaged(path, `it is outside of the set's folder ${this.#root}/`);
    const inside = rest.join("/");
    this.add(inside, size);
    return inside;
  }

  /** @param path in the set; counts it. @throws Damaged for one that is there twice, or too much of them */
  add(path: string, size: number): void {
    if (this.#seen.has(path)) throw new Damaged(path || this.#name, "it is in the archive twice");
    this.#seen.add(path);
    if (this.#seen.size > this.#maxEntries)
      throw new Damaged(this.#name, `it has more than ${this.#maxEntries} entries`);
    if (path === METADATA_FILE && size > MAX_METADATA_BYTES)
      throw new Damaged(path, `it has ${size} bytes: that is no metadata of a set`);
    this.#bytes += size;
    if (this.#bytes > this.#maxBytes)
      throw new Damaged(
        path || this.#name,
        `with it the set holds ${this.#bytes} bytes, and ${this.#maxBytes} are possible`,
      );
  }
}

/** @throws Damaged for a path that could lead out of a folder, or shows itself as another; @param shown as the archive has it */
function requireSafe(path: string, shown: string, name: string): void {
  const parts = path.replace(/\/$/, "").split("/");
  const isSafe =
    parts.every((part) => part !== "" && part !== "." && part !== "..") &&
    !/[\\\p{Cc}\p{Cf}]/u.test(path) &&
    path.isWellFormed();
  if (!isSafe) throw new Damaged(name, `it holds an entry with the unsafe path ${JSON.stringify(shown)}`);
}
