/** Writers that work while a restore fails. */
import Database from "better-sqlite3";
import { expect } from "vitest";
import { askPostgres } from "../support/backup.ts";
import { ROWS, startWriters, WRITTEN, type Written } from "./backup-writers.ts";
import type { RestoreScene } from "./restore-scene.ts";

/** Does something while writers of PostgreSQL and SQLite are at work: what they were told is stored must be there afterwards. Their tables are taken away. */
export async function withWriters(scene: RestoreScene, work: () => Promise<void>): Promise<void> {
  const { box, env } = scene;
  const url = env["DATABASE_URL"]!;
  await askPostgres(url, WRITTEN);
  await sqlite(scene, WRITTEN);
  const running = [await startWriters(box, "postgres", url), await startWriters(box, "sqlite", box.db)];
  try {
    await work();
  } finally {
    const acknowledged = await Promise.all(running.map((writers) => writers.stop()));
    const found = [await askPostgres(url, ROWS), await sqlite(scene, ROWS)] as unknown as Written[][];
    acknowledged.forEach((writers, n) => {
      for (const [writer, acks] of writers) {
        const there = new Set(
          found[n]!.filter((row) => row.writer === writer).map((row) => Number(row.number)),
        );
        const missing = acks.filter(({ number }) => !there.has(number));
        expect(missing, `${writer}: acknowledged and not there`).toEqual([]);
      }
    });
    await askPostgres(url, "DROP TABLE written");
    await sqlite(scene, "DROP TABLE written");
  }
}

/** Rows of a statement. */
async function sqlite({ box }: RestoreScene, sql: string): Promise<unknown[]> {
  const database = new Database(box.db, { timeout: 20_000 });
  try {
    const statement = database.prepare(sql);
    return statement.reader ? statement.all() : [statement.run()];
  } finally {
    database.close();
  }
}
