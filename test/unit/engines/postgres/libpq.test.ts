import { expect, test } from "vitest";
import { addressOf } from "../../../../src/engines/postgres/config.ts";
import { libpqEnvironment } from "../../../../src/engines/postgres/libpq.ts";

const environment = (url: string) =>
  libpqEnvironment(addressOf({ engine: "postgres", url, shown: "", identity: "" }));

test("leads libpq where the URL leads us, and nowhere else", () => {
  const variables = environment("postgresql://us%40er:p%3Aw@[::1]:5433/d%2Fb?options=-c%20work_mem%3D8MB");
  expect(variables).toMatchObject({
    PGHOST: "::1",
    PGPORT: "5433",
    PGUSER: "us@er",
    PGPASSWORD: "p:w",
    PGDATABASE: "d/b",
    PGOPTIONS: "-c work_mem=8MB",
    PGSSLMODE: "disable",
  });
  // a variable of the caller's that is named here is taken away
  for (const name of ["PGSERVICE", "PGHOSTADDR", "PGPASSFILE", "PGSSLROOTCERT", "PGTARGETSESSIONATTRS"]) {
    expect(variables).toHaveProperty(name, undefined);
  }
});

test.each([
  ["sslmode=no-verify", "require", undefined],
  ["sslmode=require", "verify-full", "system"],
  ["sslmode=prefer&sslrootcert=/ca.pem", "verify-full", "/ca.pem"],
  ["sslmode=verify-ca&sslrootcert=/ca.pem", "verify-ca", "/ca.pem"],
  ["sslmode=verify-full", "verify-full", "system"],
  ["sslmode=allow", "disable", undefined],
])("%s is never weaker there", (search, mode, root) => {
  expect(environment(`postgresql://u:p@host/db?${search}`)).toMatchObject({
    PGSSLMODE: mode,
    PGSSLROOTCERT: root,
  });
  // a socket has no TLS
  expect(environment(`postgresql://u:p@x/db?host=/run/pg&${search}`)).toMatchObject({
    PGHOST: "/run/pg",
    PGSSLMODE: "disable",
  });
});
