import { describe, expect, it } from "vitest";
import type { Target } from "../../../../src/config/targets.ts";
import { postgresShell } from "../../../../src/engines/postgres/shell.ts";

const target = (url: string, change: Partial<Target> = {}): Target => ({
  engine: "postgres",
  url,
  shown: "",
  identity: "",
  ...change,
});

describe("psql", () => {
  it("gets the address in arguments and the password in the environment", () => {
    const { file, args, env } = postgresShell(target("postgresql://ann:s%23cret@db.example:6432/app"));
    expect([file, ...args]).toEqual(["psql", "-h", "db.example", "-p", "6432", "-U", "ann", "-d", "app"]);
    expect(env).toMatchObject({ PGPASSWORD: "s#cret", PGSSLMODE: "disable", PGHOSTADDR: undefined });
    for (const name of ["PGHOSTADDR", "PGSERVICE", "PGPASSFILE"]) expect(env).toHaveProperty(name, undefined);
    expect(args.join(" ")).not.toContain("s#cret");
  });

  it.each([
    ["postgresql:///app?host=%2Frun%2Fpg", "/run/pg", "5432"],
    ["postgresql://[::1]:5433/app", "::1", "5433"],
    ["postgresql://db.example/app", "db.example", "5432"],
  ])("%s", (url, host, port) => {
    const { args } = postgresShell(target(url, { username: "ann" }));
    expect(args).toEqual(["-h", host, "-p", port, "-U", "ann", "-d", "app"]);
  });

  it.each([
    ["sslmode=require", { PGSSLMODE: "verify-full", PGSSLROOTCERT: "system" }],
    ["sslmode=verify-ca&sslrootcert=/ca.pem", { PGSSLMODE: "verify-ca", PGSSLROOTCERT: "/ca.pem" }],
    ["sslmode=no-verify", { PGSSLMODE: "require" }],
    ["sslcert=/c.pem&sslkey=/k.pem", { PGSSLCERT: "/c.pem", PGSSLKEY: "/k.pem" }],
    ["options=-c%20search_path%3Dx", { PGOPTIONS: "-c search_path=x" }],
  ])("with %s is as careful as we are", (parameters, env) => {
    const shell = postgresShell(target(`postgresql://ann@db.example/app?${parameters}`));
    expect(shell.env).toMatchObject(env);
  });

  it("without a password asks for it itself", () => {
    expect(postgresShell(target("postgresql://ann@db.example/app")).env).toHaveProperty(
      "PGPASSWORD",
      undefined,
    );
  });

  it.each([
    ["a=b", "dbname='a=b'"],
    ["it's = \\", "dbname='it\\'s = \\\\'"],
    ["postgresql://x", "dbname='postgresql://x'"],
    ["plain name", "plain name"],
  ])("takes the database %j for a name", (database, argument) => {
    const { args } = postgresShell(target("postgresql://ann@db.example/x", { database }));
    expect(args.at(-1)).toBe(argument);
  });

  it("is called as the setting says, words and all", () => {
    const { file, args } = postgresShell(
      target("postgresql://ann@db.example/app"),
      "docker exec -i -e PGPASSWORD my\\ db psql",
    );
    expect([file, ...args].slice(0, 8)).toEqual([
      "docker",
      "exec",
      "-i",
      "-e",
      "PGPASSWORD",
      "my db",
      "psql",
      "-h",
    ]);
  });
});
