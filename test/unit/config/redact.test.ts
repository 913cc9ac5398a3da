import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redactor, redactUrl, secretsIn } from "../../../src/config/redact.ts";

describe("a URL as it may be shown", () => {
  test.each([
    ["postgresql://u:secret@db.example:5432/app", "postgresql://u:***@db.example:5432/app"],
    ["redis://:secret@cache.example/0", "redis://:***@cache.example/0"],
    [
      "postgresql://u@db.example/app?password=secret&sslmode=require",
      "postgresql://u@db.example/app?password=***&sslmode=require",
    ],
    ["bolt://graph.example:7687", "bolt://graph.example:7687"],
    ["not a url with secret", "***"],
  ])("%s", (url, shown) => expect(redactUrl(url)).toBe(shown));
});

describe("other people's messages", () => {
  test("the secret as written, decoded and encoded, the longest first", () => {
    const secrets = secretsIn([
      { value: "postgresql://u:p%40ssword@db.example/app?sslpassword=keyword", kind: "url" },
      { value: "p@ss", kind: "value" },
      { value: "abc", kind: "value" },
    ]);
    expect(secrets).toEqual(expect.arrayContaining(["p%40ssword", "p@ssword", "keyword", "p@ss", "p%40ss"]));
    const redact = redactor(secrets);
    expect(redact("tried p@ssword, p%40ssword and keyword at db.example")).toBe(
      "tried ***, *** and *** at db.example",
    );
    expect(redact("abc")).toBe("abc");
  });

  test("user info of any URL, known or not", () => {
    const redact = redactor([]);
    expect(redact("at postgres://u:other@h/db and redis://:x@h")).toBe(
      "at postgres://u:***@h/db and redis://:***@h",
    );
    expect(redact("see https://example.org/a:b@c")).toBe("see https://example.org/a:b@c");
  });

  test("no secret of four characters or more is left in any text", () => {
    const secret = fc
      .string({ minLength: 4, maxLength: 20 })
      .filter((one) => !"***".includes(one) && !/^\*+$/.test(one));
    fc.assert(
      fc.property(secret, fc.string(), fc.string(), (password, before, after) => {
        const url = new URL("redis://u@db.example/0");
        url.password = encodeURIComponent(password);
        const redact = redactor(
          secretsIn([
            { value: url.href, kind: "url" },
            { value: password, kind: "value" },
          ]),
        );
        expect(redact(`${before}${password}${after}`)).not.toContain(password);
        expect(redact(`${before}${url.href}${after}`)).not.toContain(`${encodeURIComponent(password)}@`);
      }),
    );
  });
});
