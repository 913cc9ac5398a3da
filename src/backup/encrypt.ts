/** Archives encrypted with age (https://age-encryption.org/v1): whoever makes them needs no key that opens them. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../call.ts";
import { OpsError, usageError } from "../errors.ts";
import { decryptPayload, encryptPayload } from "./age-payload.ts";
import { ArchiveFile } from "./archive-file.ts";
import type { Archive } from "./archives.ts";
import { ByteQueue } from "./byte-queue.ts";
import { Damaged } from "./damaged.ts";
import type { Encrypt } from "./run.ts";

/** A header has some hundred bytes for each recipient; 2,000 for a post-quantum one. */
const MAX_HEADER_BYTES = 1024 * 1024;
const SECRET = "AGE-SECRET-KEY-";

/**
 * Encrypts a stream so that each of the recipients can open it alone.
 * @param field the flag or setting that named them, for the message
 * @throws OpsError `usage` for what is no recipient
 */
export async function encryptStream(recipients: readonly string[], field: string): Promise<Encrypt> {
  const { Encrypter } = await import("age-encryption");
  // each is tried now: a backup that could not be encrypted must not begin
  for (const recipient of recipients) {
    try {
      new Encrypter().addRecipient(recipient);
    } catch {
      throw recipientError(field, recipient);
    }
  }
  return async function* encrypt(stream) {
    const { header, fileKey } = await makeHeader(recipients);
    yield header;
    yield* encryptPayload(fileKey, new ByteQueue(stream));
  };
}

function recipientError(field: string, text: string): OpsError {
  const isSecret = text.toUpperCase().includes(SECRET);
  return usageError(
    isSecret
      ? `${field}: a secret key of age was given as a recipient, and does not belong there`
      : `${field}: "${text}" is no age recipient`,
    "give the public key, which begins with age1 (age-keygen -y prints that of a key file); SSH keys and passphrases are not supported",
  );
}

/** The package writes the header, and hands the key of the payload to whoever asks for it as a recipient that leaves nothing in it. */
async function makeHeader(recipients: readonly string[]) {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  let fileKey = new Uint8Array();
  encrypter.addRecipient({
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key);
      return [];
    },
  });
  const empty = Buffer.from(await encrypter.encrypt(new Uint8Array()));
  return { header: empty.subarray(0, headerLength(empty)), fileKey };
}

/** Up to the line with the MAC; undefined: it is longer, or none. */
function headerLength(bytes: Buffer): number | undefined {
  const mac = bytes.indexOf("\n--- ", 0, "latin1");
  const end = mac < 0 ? -1 : bytes.indexOf("\n", mac + 1, "latin1");
  return end < 0 ? undefined : end + 1;
}

/** The plain content of an archive, all of it authenticated. */
export interface Decrypted {
  /** From its beginning. */
  read(): Promise<ArchiveFile>;
  /** SHA-256 of the encrypted archive. */
  sha256: string;
  close(): Promise<void>;
}

/**
 * Decrypts an archive into a file without a name, which ends with the process whatever happens to it. age hands out plain bytes before it can know
 * that nothing was cut off: nothing of them is used before all were authenticated.
 * @param identity one key a line, as in a key file
 * @throws Damaged for what was changed, OpsError `auth` for a key that does not open it, `usage` for what is no key
 */
export async function decryptArchive(
  call: Call,
  archive: Archive,
  identity: string,
  scratchParent: string,
): Promise<Decrypted> {
  const decrypter = await decrypterOf(identity);
  const file = await ArchiveFile.open(call, archive.path, archive.name);
  let spool: FileHandle | undefined;
  try {
    const sealed = new ByteQueue(file.chunks());
    const fileKey = await openHeader(sealed, archive, decrypter);
    spool = await openNameless(scratchParent);
    for await (const plain of decryptPayload(fileKey, sealed, archive.name)) {
      await spool.appendFile(plain).catch((error: unknown) => {
        throw scratchError(scratchParent, error);
      });
      call.progress({
        label: `decrypting ${archive.name}`,
        done: file.position,
        total: file.size,
        unit: "bytes",
      });
    }
    const handle = spool;
    return {
      read: () => ArchiveFile.of(call, handle, archive.name),
      sha256: await file.digest(),
      close: () => handle.close(),
    };
  } catch (error) {
    await spool?.close();
    throw error;
  } finally {
    await file.close();
  }
}

async function decrypterOf(identity: string) {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  const lines = identity.split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const hint = "it holds one key a line, which begins with AGE-SECRET-KEY-, as age-keygen writes it";
  if (keys.length === 0) throw usageError("OPSCTL_BACKUP_IDENTITY holds no key", hint);
  for (const [index, key] of keys.entries()) {
    try {
      decrypter.addIdentity(key);
    } catch {
      throw usageError(`OPSCTL_BACKUP_IDENTITY: key ${index + 1} of it is no age identity`, hint);
    }
  }
  return decrypter;
}

type Decrypter = Awaited<ReturnType<typeof decrypterOf>>;

async function openHeader(sealed: ByteQueue, { name }: Archive, decrypter: Decrypter): Promise<Uint8Array> {
  const length = headerLength(await sealed.peek(MAX_HEADER_BYTES));
  if (length === undefined) throw new Damaged(name, "it is not encrypted with age, or its header is damaged");
  const header = await sealed.take(length);
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (!/no identity matched/.test(String(error)))
      throw new Damaged(name, "the header of its encryption is damaged");
    throw new OpsError({
      code: "auth",
      message: `${name} is encrypted for other keys than that of OPSCTL_BACKUP_IDENTITY`,
      hint: "set OPSCTL_BACKUP_IDENTITY, OPSCTL_BACKUP_IDENTITY_FILE or OPSCTL_BACKUP_IDENTITY_COMMAND to a key that it was encrypted to",
    });
  }
}

/** A file that nobody else can open, and that no crash leaves behind. */
async function openNameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `opsctl-plain-${process.pid}-${Math.random().toString(36).slice(2, 10)}`);
  try {
    const handle = await open(path, "wx+", 0o600);
    await rm(path);
    return handle;
  } catch (error) {
    throw scratchError(folder, error);
  }
}

function scratchError(folder: string, error: unknown): OpsError {
  return new OpsError({
    code: "failed",
    message: `the decrypted content cannot be written below ${folder} (${(error as NodeJS.ErrnoException).code})`,
    hint: "it takes as much room as the archive for a moment: free some, or set TMPDIR to another folder",
    cause: error,
  });
}
