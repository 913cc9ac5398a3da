/** Encrypted archives, against the package that others decrypt with. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as age from "age-encryption";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Archive, readArchive, sidecarPath } from "../../../src/backup/archives.ts";
import { encryptStream } from "../../../src/backup/encrypt.ts";
import { parseSidecar } from "../../../src/backup/metadata.ts";
import { type Verification, verifyArchive } from "../../../src/backup/verify.ts";
import type { VerifyLevel } from "../../../src/backup/verify-set.ts";
import { testCall } from "../../support/calls.ts";
import { lineParser, makeSet } from "./set-kit.ts";

const RANDOM = Buffer.from(randomBytes(150_000).toString("base64") + "\n".repeat(40_000));
const FILES = { "sqlite/a.db": Buffer.from("line\n".repeat(40_000)), "sqlite/r.db": RANDOM };

let folder: string;
let scratch: string;
let identity: string;
let recipient: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-age-"));
  scratch = mkdtempSync(join(tmpdir(), "opsctl-scratch-"));
  identity = await age.generateX25519Identity();
  recipient = await age.identityToRecipient(identity);
});
afterEach(() => expect(readdirSync(scratch)).toEqual([]));
afterAll(() => {
  for (const path of [folder, scratch]) rmSync(path, { recursive: true, force: true });
});

async function encrypted(plain: Buffer, to: readonly string[]): Promise<Buffer> {
  const encrypt = await encryptStream(to, "--encrypt-to");
  const chunks: Uint8Array[] = [];
  async function* slices() {
    for (let at = 0; at < plain.length; at += 100_000) yield plain.subarray(at, at + 100_000);
  }
  for await (const chunk of encrypt(slices())) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function verify({ path }: Archive, level: VerifyLevel, key: string | undefined): Promise<Verification> {
  return verifyArchive(testCall(), await readArchive(path), level, {
    parsers: async () => lineParser(new Map()),
    scratchParent: scratch,
    identity: key,
  });
}

async function makeEncrypted(...to: string[]): Promise<Archive> {
  const encrypt = await encryptStream(to.length === 0 ? [recipient] : to, "--encrypt-to");
  return makeSet(folder, "tar.gz", FILES, { encrypt });
}

const sidecarOf = ({ path }: Archive) => parseSidecar(readFileSync(sidecarPath(path), "utf8"), path);

describe("encryptStream", () => {
  // around the borders of the 64 KiB chunks
  it.each([0, 1, 65_535, 65_536, 65_537, 131_072, 300_000])("%i bytes are opened by age", async (size) => {
    const plain = randomBytes(size);
    const decrypter = new age.Decrypter();
    decrypter.addIdentity(identity);
    expect(Buffer.from(await decrypter.decrypt(await encrypted(plain, [recipient]))).equals(plain)).toBe(
      true,
    );
  });

  it("each of several recipients opens it alone, post-quantum ones too", async () => {
    const keys = [identity, await age.generateX25519Identity(), await age.generateHybridIdentity()];
    const sealed = await encrypted(
      Buffer.from("secret"),
      await Promise.all(keys.map((key) => age.identityToRecipient(key))),
    );
    for (const key of keys) {
      const decrypter = new age.Decrypter();
      decrypter.addIdentity(key);
      expect(await decrypter.decrypt(sealed, "text")).toBe("secret");
    }
  });

  it.each(["age1xyz", "ssh-ed25519 AAAA", ""])('refuses the recipient "%s"', async (text) => {
    await expect(encryptStream([recipient, text], "--encrypt-to")).rejects.toMatchObject({
      code: "usage",
      message: `--encrypt-to: "${text}" is no age recipient`,
    });
  });

  it("does not repeat a secret key that was given by mistake", async () => {
    const refused = await encryptStream([identity], "--encrypt-to").catch((error: Error) => error);
    expect(String(refused)).toContain("--encrypt-to: a secret key of age was given");
    expect(JSON.stringify(refused) + String(refused)).not.toContain(identity.slice(20));
  });
});

describe("verify an encrypted archive", () => {
  it("opens it with its key, and what another program encrypted", async () => {
    const archive = await makeEncrypted();
    expect(await verify(archive, "parse", `# created: today\n${identity}\n`)).toMatchObject({
      ok: true,
      notes: [],
    });
    expect(sidecarOf(archive).verified?.level).toBe("parse");
    const decrypter = new age.Decrypter();
    decrypter.addIdentity(identity);
    const encrypter = new age.Encrypter();
    encrypter.addRecipient(recipient);
    const again = await encrypter.encrypt(await decrypter.decrypt(readFileSync(archive.path)));
    writeFileSync(archive.path, again);
    rmSync(sidecarPath(archive.path));
    expect(await verify(archive, "parse", identity)).toMatchObject({ ok: true, problems: [] });
  });

  it("without a key compares the digest of the whole, and says so", async () => {
    const archive = await makeEncrypted();
    const found = await verify(archive, "checksums", undefined);
    expect(found).toMatchObject({ ok: true, problems: [] });
    expect(found.notes).toEqual([
      expect.stringContaining("only the digest of the whole archive was compared"),
    ]);
    const bytes = readFileSync(archive.path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(archive.path, bytes);
    expect(await verify(archive, "structure", undefined)).toMatchObject({ ok: false });
    await expect(verify(archive, "parse", undefined)).rejects.toMatchObject({ code: "usage" });
  });

  it("has a message of its own for another key", async () => {
    const archive = await makeEncrypted();
    const other = await age.generateX25519Identity();
    await expect(verify(archive, "checksums", other)).rejects.toMatchObject({
      code: "auth",
      message: expect.stringContaining("encrypted for other keys"),
    });
    expect(sidecarOf(archive)).toMatchObject({ damaged: null, verified: null });
  });

  it("says where its plain content could not be written", async () => {
    const now = await readArchive((await makeEncrypted()).path);
    const tools = {
      parsers: async () => lineParser(new Map()),
      scratchParent: join(scratch, "nowhere"),
      identity,
    };
    await expect(verifyArchive(testCall(), now, "checksums", tools)).rejects.toMatchObject({
      code: "failed",
      message: `the decrypted content cannot be written below ${tools.scratchParent} (ENOENT)`,
    });
  });

  it.each(["", "# nothing\n", "AGE-SECRET-KEY-1XYZ", "no key"])('refuses the key "%s"', async (key) => {
    const archive = await makeEncrypted();
    const refused = await verify(archive, "checksums", key).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: "usage" });
    expect(String(refused)).not.toContain("XYZ");
  });

  it.each([
    { what: "its version", at: () => 3 },
    { what: "a stanza", at: (bytes: Buffer) => bytes.indexOf("-> X25519") + 20 },
    { what: "the MAC", at: (bytes: Buffer) => bytes.indexOf("--- ") + 6 },
    { what: "the nonce", at: (bytes: Buffer) => bytes.indexOf("\n", bytes.indexOf("--- ")) + 3 },
    { what: "its middle", at: (bytes: Buffer) => bytes.length >> 1 },
    { what: "its last byte", at: (bytes: Buffer) => bytes.length - 1 },
  ])("finds a flip in $what", async ({ at }) => {
    const archive = await makeEncrypted();
    const bytes = readFileSync(archive.path);
    bytes[at(bytes)]! ^= 1;
    writeFileSync(archive.path, bytes);
    expect(await verify(archive, "checksums", identity)).toMatchObject({ ok: false });
    // a changed stanza is one for another key, to whoever has no digest
    rmSync(sidecarPath(archive.path));
    const found = await verify(archive, "checksums", identity).catch((error: unknown) => error);
    expect(found).toMatchObject("ok" in (found as object) ? { ok: false } : { code: "auth" });
  });

  it("finds that whole chunks were cut off", async () => {
    const archive = await makeEncrypted();
    const bytes = readFileSync(archive.path);
    const payload = bytes.indexOf("\n", bytes.indexOf("--- ")) + 1 + 16;
    writeFileSync(archive.path, bytes.subarray(0, payload + 2 * (65_536 + 16)));
    rmSync(sidecarPath(archive.path));
    const found = await verify(archive, "checksums", identity);
    expect(found.problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/its bytes from \d+ are not what was encrypted/),
    ]);
  });
});
