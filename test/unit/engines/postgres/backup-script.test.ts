/** Scripts as pg_restore and pg_dumpall write them, and what is not whole. */
import { describe, expect, it } from "vitest";
import { readGlobals } from "../../../../src/engines/postgres/backup-parse.ts";
import { ScriptReader } from "../../../../src/engines/postgres/backup-script.ts";

const SCRIPT = String.raw`--
-- PostgreSQL database dump
--

\restrict Key1

SET row_security = off;

CREATE FUNCTION public.tricky() RETURNS text AS $$ SELECT '
COPY public.nothing (a) FROM stdin;
1
-- PostgreSQL database dump complete
' $$;

--
-- Data for Name: Odd table; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."Odd.""
table" (a, "b FROM stdin") FROM stdin;
1	x\ny
\\.
\N

.
\.


--
-- Data for Name: empty; Type: TABLE DATA; Schema: My Schema; Owner: -
--

COPY "My Schema".empty  FROM stdin;
\.


--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

SELECT pg_catalog.lo_open('16398', 131072);
SELECT pg_catalog.lowrite(0, '\x5c2e0a');

--
-- PostgreSQL database dump complete
--

\unrestrict Key1

`;
const ROWS = { 'public.Odd."\ntable': 5, "My Schema.empty": 0 };

function read(text: string, size = 1_000) {
  const reader = new ScriptReader("PostgreSQL database dump");
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  reader.end();
  return reader;
}

describe("a plain dump", () => {
  it("is counted, however its bytes come", () => {
    for (const size of [1, 2, 3, 7, 10_000]) {
      const { rows, largeObjects } = read(SCRIPT, size);
      expect(rows).toEqual(ROWS);
      expect(largeObjects).toBe(1);
    }
  });

  it("has long lines in many chunks", () => {
    const long = SCRIPT.replace("SELECT pg_catalog.lowrite", `${"x".repeat(3_000_000)} lowrite`);
    expect(read(long, 65_536).rows).toEqual(ROWS);
    const row = SCRIPT.replace("1\tx", `1\t${"y".repeat(3_000_000)}`);
    expect(read(row, 65_536).rows).toEqual(ROWS);
  });

  it("of an older PostgreSQL has no key", () => {
    const old = SCRIPT.replaceAll(/^\\(un)?restrict Key1\n/gm, "");
    expect(read(old).rows).toEqual(ROWS);
  });

  it("that is cut off is damaged", () => {
    const end = SCRIPT.lastIndexOf("Key1") + "Key1".length;
    for (let length = 0; length < end; length++) {
      expect(() => read(SCRIPT.slice(0, length)), `${length}`).toThrow(/\(line \d+\)$/);
    }
    for (let length = end; length <= SCRIPT.length; length++) read(SCRIPT.slice(0, length));
  });

  it.each([
    ["something behind its end", `${SCRIPT}DROP TABLE x;\n`, "does not end with"],
    ["something before its beginning", `\n${SCRIPT}`, "does not begin with"],
    [
      "the beginning of a cluster",
      SCRIPT.replace("database dump\n", "database cluster dump\n"),
      "does not begin with",
    ],
    ["another key at its end", SCRIPT.replace("unrestrict Key1", "unrestrict Key2"), "does not end with"],
    ["rows without their end", SCRIPT.replace("\n.\n\\.\n", "\n.\n"), "damaged"],
    ["rows of no table", SCRIPT.replace('COPY "My Schema".empty', "COPY a.b.c"), "names no table"],
  ])("with %s is damaged", (name, text, message) => {
    if (message === "damaged") {
      // the end of the next rows ends them: their count tells
      expect(read(text).rows, name).not.toEqual(ROWS);
    } else expect(() => read(text)).toThrow(message);
  });
});

describe("globals", () => {
  const globals = (role: string) => [
    Buffer.from(`--
-- PostgreSQL database cluster dump
--

\\restrict Key1

CREATE ROLE app;
${role}
CREATE ROLE "a PASSWORD 'x'";
COMMENT ON ROLE app IS 'its PASSWORD ''x'' is secret';
CREATE TABLESPACE fast OWNER app LOCATION '/fast';

\\unrestrict Key1

--
-- PostgreSQL database cluster dump complete
--

`),
  ];

  it("are counted", async () => {
    const role = "ALTER ROLE app WITH NOSUPERUSER LOGIN CONNECTION LIMIT 3 VALID UNTIL '2030-01-01';";
    expect(await readGlobals(globals(role))).toEqual({ roles: 2, tablespaces: 1 });
  });

  it.each([
    ["app", "SCRAM-SHA-256$4096:salt$stored:server"],
    ["app", "md5c3b5c7dbb56c1a6b3d5a9d5f5f8e1a7c"],
    ["app", "plain"],
    ['"odd""name"', "plain"],
    ['"two\nlines"', "SCRAM-SHA-256$4096:salt$stored:server"],
  ])("with the password of %s are refused: %s", async (name, password) => {
    const role = `ALTER ROLE ${name} WITH NOSUPERUSER LOGIN PASSWORD '${password}' VALID UNTIL '2030-01-01';`;
    await expect(readGlobals(globals(role))).rejects.toThrow("the password of a role (line ");
  });
});
