/** Checks of PostgreSQL that take WAL, restarts and a replica to plant: seconds each. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { serverUser, startPostgres } from "../../scripts/services/postgres.ts";
import { run } from "../../scripts/services/shell.ts";
import { type OwnPostgres, ownPostgres, Patient } from "../integration/postgres-checks-kit.ts";

const MIB = 1_048_576;

let own: OwnPostgres;
let patient: Patient;

beforeAll(async () => {
  own = await ownPostgres([]);
  patient = await Patient.of(own.server.url);
});
afterAll(async () => {
  await patient?.close();
  await own?.remove();
});

it("a replica that does not keep up", async () => {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-wal-"));
  const { username, password, hostname, port } = new URL(own.server.url);
  const env = { ...process.env, PGUSER: username, PGPASSWORD: password, PGHOST: hostname, PGPORT: port };
  const receiver = spawn(join(own.server.bin, "pg_receivewal"), ["-D", folder, "-s", "1"], {
    env,
    stdio: "ignore",
  });
  const about = () => patient.about("postgres-replica-lag", "replica pg_receivewal", { large: MIB / 16 });
  try {
    const streams = "SELECT FROM pg_stat_replication WHERE write_lsn IS NOT NULL";
    await expect
      .poll(async () => (await patient.client.query(streams)).rowCount, { timeout: 20_000 })
      .toBe(1);
    await expect.poll(about, { timeout: 20_000 }).toBeUndefined();
    receiver.kill("SIGSTOP");
    await patient.sql("SELECT pg_logical_emit_message(true, 'x', repeat('x', 3000000))");
    await expect.poll(about, { timeout: 20_000 }).toMatchObject({
      severity: "warning",
      evidence: expect.stringMatching(/MiB of WAL behind, state streaming$/),
    });
    receiver.kill("SIGCONT");
    await expect.poll(about, { timeout: 20_000 }).toBeUndefined();
  } finally {
    receiver.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});

it("checkpoints that the volume of writes forces", async () => {
  await patient.sql("ALTER SYSTEM SET max_wal_size = '32MB'", "SELECT pg_reload_conf()");
  await patient.sql("SELECT pg_stat_reset_shared('bgwriter')", "SELECT pg_stat_reset_shared('wal')");
  const about = () => patient.about("postgres-checkpoint", "max_wal_size");
  expect(await about()).toBeUndefined();
  for (let n = 0; n < 6; n++) {
    await patient.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 26214400))", "CHECKPOINT");
  }
  await patient.sql("SELECT pg_stat_force_next_flush()", "SELECT 1");
  await expect
    .poll(about)
    .toMatchObject({ severity: "warning", evidence: expect.stringContaining("max_wal_size 32.0 MiB") });
  await patient.mend((await about())!);
  await expect.poll(about).toBeUndefined();
});

async function enableChecksums(): Promise<void> {
  const args = ["--enable", "--no-sync", "-D", join(own.dir, "data")];
  const enabled = await run(join(own.server.bin, "pg_checksums"), args, {
    user: await serverUser(),
    cwd: "/",
  });
  expect(enabled).toMatchObject({ code: 0 });
}

async function restart(args: string[], stopped?: () => Promise<void>): Promise<void> {
  await patient.close();
  await own.server.stop();
  await stopped?.();
  const { port, password } = own.server;
  own.server = await startPostgres({ dir: own.dir, port, password, args });
  patient = await Patient.of(own.server.url);
}

it("checksums are there, it listens everywhere, and the cache is too small", async () => {
  expect(await patient.find("postgres-data-checksums")).toMatchObject([
    { severity: "info", advice: expect.stringContaining(`-D ${own.dir}/data`) },
  ]);
  expect(await patient.find("postgres-listen-address")).toEqual([]);
  await restart(["-c", "listen_addresses=*", "-c", "shared_buffers=1MB"], enableChecksums);
  expect(await patient.find("postgres-data-checksums")).toEqual([]);
  expect(await patient.find("postgres-listen-address")).toMatchObject([
    {
      severity: "warning",
      evidence: "listen_addresses = '*' with ssl = off",
      advice: expect.stringContaining("command line"),
    },
  ]);
  await patient.sql(
    "CREATE TABLE wide AS SELECT g AS id, repeat('x', 500) AS note FROM generate_series(1, 20000) g",
    "DO $$ BEGIN FOR n IN 1..80 LOOP PERFORM count(*) FROM wide; END LOOP; END $$",
    "SELECT pg_stat_force_next_flush()",
    "SELECT 1",
  );
  const found = await patient.find("postgres-cache-hit");
  expect(found).toMatchObject([
    {
      severity: "warning",
      evidence: expect.stringMatching(
        /^\d+\.\d % of the blocks were found in shared_buffers \(1\.0 MiB\), wanted: 95 %/,
      ),
    },
  ]);
  await restart([]);
  expect(await patient.find("postgres-listen-address")).toEqual([]);
  // the counts outlive the restart
  await patient.sql("SELECT pg_stat_reset()");
  expect(await patient.find("postgres-cache-hit")).toEqual([]);
});
