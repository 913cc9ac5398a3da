/** Databases that have one of nearly everything, and the commands of the README that bring them back without opsctl. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { execa } from "execa";
import { Redis } from "ioredis";
import type { Driver } from "neo4j-driver";
import { onPath } from "../../scripts/services/shell.ts";
import { askPostgres } from "../support/backup.ts";
import { ROOT } from "../support/cli.ts";
import { run } from "./graph-kit.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");

/**
 * Lines of a code block of the README, without those for another way than `way`: a line that is for one way only ends with `# way`.
 * Throws for a block that is not there.
 */
export function commandsOf(block: string, way = ""): string {
  const found = new RegExp(`<!-- without opsctl: ${block} -->\\n\`\`\`sh\\n([\\s\\S]*?)\`\`\``).exec(README);
  if (!found) throw new Error(`the README has no commands "${block}"`);
  const lines = found[1]!.trimEnd().split("\n");
  return lines.filter((line) => (/\s# (.*)$/.exec(line)?.[1] ?? way) === way).join("\n");
}

/** Runs a script as one would type it, ended by the first failure. */
export async function shell(cwd: string, script: string, env: Record<string, string>): Promise<void> {
  await execa("bash", ["-euo", "pipefail", "-c", script], { cwd, env });
}

/** A folder for PATH with `age`: the program where it is installed, else its command line over the library of its author. */
export function ageFolder(dir: string): string {
  const installed = onPath("age");
  if (installed) return dirname(installed);
  mkdirSync(dir, { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
  const program = `#!${process.execPath}
import { readFileSync } from "node:fs";
import { Decrypter } from "age-encryption";
const [, , , , identity, file] = process.argv;
const decrypter = new Decrypter();
decrypter.addIdentity(readFileSync(identity, "utf8").trim());
process.stdout.write(await decrypter.decrypt(readFileSync(file)));
`;
  writeFileSync(join(dir, "age.mjs"), program, { mode: 0o700 });
  symlinkSync("age.mjs", join(dir, "age"));
  return dir;
}

export async function fillPostgres(url: string): Promise<void> {
  await askPostgres(
    url,
    `CREATE ROLE reader; CREATE ROLE writer LOGIN; CREATE SCHEMA shop AUTHORIZATION writer; CREATE EXTENSION pg_trgm;
     CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN shop.price AS numeric CHECK (VALUE >= 0);
     CREATE TABLE shop.items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price shop.price, mood mood, raw bytea,
       doc jsonb, at timestamptz DEFAULT now(), tags text[], f float8, double numeric GENERATED ALWAYS AS (price * 2) STORED);
     CREATE TABLE shop.parts (item int REFERENCES shop.items ON DELETE CASCADE, n int, UNIQUE (item, n)) PARTITION BY RANGE (n);
     CREATE TABLE shop.parts_low PARTITION OF shop.parts FOR VALUES FROM (0) TO (10);
     CREATE TABLE shop.parts_high PARTITION OF shop.parts DEFAULT;
     INSERT INTO shop.items (name, price, mood, raw, doc, tags, f)
       SELECT 'Ünïcode ' || n, n * 1.25, 'ok', decode(md5(n::text), 'hex'), jsonb_build_object('n', n), ARRAY['a', NULL], n / 3.0
       FROM generate_series(1, 500) n;
     INSERT INTO shop.items (name, f) VALUES (E'tab\\t\\\\N', 'NaN'), ('', '-0');
     INSERT INTO shop.parts SELECT n, n % 20 FROM generate_series(1, 300) n;
     CREATE INDEX items_words ON shop.items USING gin (name public.gin_trgm_ops);
     CREATE VIEW shop.cheap AS SELECT id FROM shop.items WHERE price < 10;
     CREATE MATERIALIZED VIEW shop.totals AS SELECT mood, count(*) FROM shop.items GROUP BY mood;
     CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.at = now(); RETURN NEW; END $f$;
     CREATE TRIGGER touch BEFORE UPDATE ON shop.items FOR EACH ROW EXECUTE FUNCTION shop.touch();
     ALTER TABLE shop.items DISABLE TRIGGER touch; ALTER TABLE shop.items ENABLE ROW LEVEL SECURITY;
     CREATE POLICY mine ON shop.items TO reader USING (price < 100);
     CREATE SEQUENCE shop.numbers START 40 INCREMENT 2; SELECT nextval('shop.numbers');
     SELECT lo_from_bytea(4711, 'large'); GRANT SELECT ON LARGE OBJECT 4711 TO reader;
     GRANT USAGE ON SCHEMA shop TO reader; GRANT SELECT (id, name) ON shop.items TO reader; ALTER TABLE shop.parts OWNER TO writer;
     REVOKE TEMP ON DATABASE app FROM PUBLIC; GRANT CREATE ON DATABASE app TO writer; COMMENT ON DATABASE app IS 'the shop';
     ALTER DATABASE app SET work_mem = '5MB'; ALTER ROLE writer IN DATABASE app SET search_path = shop;
     ANALYZE`,
  );
}

export async function fillRedis(url: string): Promise<void> {
  const client = new Redis(url);
  try {
    const many = Array.from({ length: 2_000 }, (_, index) => `member-${index}`);
    const commands = client
      .pipeline()
      .mset({ text: "Ünïcode", number: 12, raw: Buffer.from([0, 255, 10]), empty: "" })
      .rpush("list", ...many)
      .sadd("set", ...many)
      .sadd("numbers", 1, 2, 70_000)
      .zadd("sorted", 1, "a", 1.5, "b", "inf", "c")
      .hset("hash", { f: "1", g: "2" })
      .xadd("stream", "1-1", "f", "v")
      .xadd("stream", "2-1", "f", "w")
      .xgroup("CREATE", "stream", "workers", "0")
      .xreadgroup("GROUP", "workers", "one", "COUNT", 1, "STREAMS", "stream", ">")
      .pfadd("visitors", "a", "b")
      .pexpireat("text", 4_000_000_000_123)
      .select(5)
      .set("other", "1", "PX", 900_000_000);
    for (const [error] of (await commands.exec()) ?? []) if (error) throw error;
    const library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    await client.call("FUNCTION", "LOAD", library);
  } finally {
    client.disconnect();
  }
}

/** In WAL mode, open. */
export function openSqlite(path: string): Database.Database {
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.exec(`
    CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, v, w TEXT);
    CREATE TABLE tags (name TEXT PRIMARY KEY, n INT) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5(body);
    CREATE VIEW all_notes AS SELECT id FROM notes;
    CREATE TRIGGER gone AFTER DELETE ON notes BEGIN DELETE FROM tags; END;
    CREATE INDEX notes_v ON notes (v);
    INSERT INTO notes (v, w) VALUES (1, 'a'), (1.5, 'ü'), (x'00ff', ''), (NULL, NULL), (9223372036854775807, 'x');
    INSERT INTO tags VALUES ('a', 1), ('b', 2);
    INSERT INTO words VALUES ('restart the pool');
    PRAGMA user_version = 7`);
  return database;
}

/** Of each type a value, a list, and what only differs from it by a little. */
const VALUES = `{int: 1, float: 1.0, big: 9223372036854775807, small: -9223372036854775808, zero: -0.0, nan: 0.0 / 0.0, inf: 1.0 / 0.0,
  text: 'Zürich 漢字 "x" \\\\ \\n', empty: '', yes: true, ints: [1, 2], floats: [1.0, -0.0], texts: ['a', ''], none: [], flags: [true, false],
  date: date('1969-12-31'), far: date('+999999999-12-31'), dates: [date('2020-02-29'), date('2026-01-01')],
  time: time('23:59:59.999999999-18:00'), localtime: localtime('00:00:01.000000002'), localdatetime: localdatetime('1969-12-31T23:59:59.5'),
  times: [time('01:02:03+01:00')], odd: time({hour: 1, timezone: '+01:30:15'}), offset: datetime('2026-01-02T03:04:05.6-03:30'),
  zone: datetime('2026-10-25T02:30:00+01:00[Europe/Zurich]'), zones: [datetime('2026-07-01T12:00[America/New_York]')],
  duration: duration({months: -1, days: 2, seconds: -3, nanoseconds: 5}), durations: [duration('P1D')],
  point: point({x: 1, y: -2.5}), place: point({longitude: 8.5, latitude: 47.25, height: 400}), points: [point({x: 1, y: 2, z: 3})]}`;

export async function fillNeo4j(driver: Driver): Promise<void> {
  await run(
    driver,
    `CREATE (:All:Other ${VALUES})-[:\`odd \`\`type\\u005Cu0041\` ${VALUES}]->(:\`a"b'c ü\` {\`odd \`\`name\\u005Cu0041\`: 1})`,
  );
  await run(driver, "MATCH (n:All) SET n.bytes = $bytes", { bytes: Int8Array.from([0, 1, -1, 127]) });
  await run(driver, "CREATE (a), (b), (a)-[:R {int: 'a text'}]->(b), (a)-[:R]->(b), (a)-[:R]->(a)");
  await run(driver, "UNWIND range(1, 1100) AS i CREATE (:Many {id: i})");
  await run(driver, "MATCH (a:Many), (b:Many {id: a.id + 1}) CREATE (a)-[:NEXT {i: a.id}]->(b)");
  await run(driver, "CREATE CONSTRAINT many_id FOR (n:Many) REQUIRE n.id IS UNIQUE");
  await run(driver, "CREATE INDEX `by text` FOR (n:All) ON (n.text)");
  const options = "OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}";
  await run(driver, `CREATE FULLTEXT INDEX words FOR (n:All|Other) ON EACH [n.text] ${options}`);
  await run(driver, "CALL db.awaitIndexes(60)");
}
