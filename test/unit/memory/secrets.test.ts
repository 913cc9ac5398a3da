import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maskInput } from "../../../src/memory/remember.ts";
import { maskJson, maskText } from "../../../src/memory/secrets.ts";

/** Made up, of the right form; in two pieces, so that no scanner takes this file for a leak. */
const TOKENS: Readonly<Record<string, string[]>> = {
  github: [
    `ghp_${"a1B2".repeat(9)}`,
    `gho_${"a1B2".repeat(9)}`,
    `ghs_${"a1B2".repeat(9)}`,
    `github_pat_${"a1B2_".repeat(16)}xy`,
  ],
  gitlab: [`glpat-${"aB3_-".repeat(4)}`, `glrt-${"aB3_-".repeat(4)}`, `gldt-${"aB3_-".repeat(4)}`],
  aws: ["AKIAIOSFODNN7EXAMPLE", `ASIA${"Q2W3".repeat(4)}`],
  slack: [`xoxb-${"123456789012-".repeat(2)}abcDEF`, `xapp-1-${"A1B2".repeat(5)}`],
  stripe: [`sk_live_${"a1B2".repeat(6)}`, `rk_test_${"a1B2".repeat(6)}`, `whsec_${"a1B2".repeat(8)}`],
  openai: [`sk-proj-${"a1B_-".repeat(9)}`, `sk-${"a1B2".repeat(12)}`],
  anthropic: [`sk-ant-api03-${"a1B_-".repeat(19)}AA`],
  google: [`AIza${"a1B_-".repeat(7)}`, `GOCSPX-${"a1B_-".repeat(6)}`],
  npm: [`npm_${"a1B2".repeat(9)}`],
  pypi: [`pypi-AgEIcHlwaS5vcmc${"a1B_-".repeat(12)}`],
  huggingface: [`hf_${"aBcD".repeat(8)}ef`],
  digitalocean: [`dop_v1_${"a1b2".repeat(16)}`],
  sendgrid: [`SG.${"a1B_-".repeat(4)}xy.${"a1B_-".repeat(8)}xyz`],
  vault: [`hvs.${"a1B_-".repeat(19)}`],
  docker: [`dckr_pat_${"a1B_-".repeat(6)}`],
  grafana: [`glsa_${"a1B2".repeat(8)}_1a2b3c4d`],
  databricks: [`dapi${"a1b2".repeat(8)}`],
  shopify: [`shpat_${"a1b2".repeat(8)}`],
  linear: [`lin_api_${"a1B2".repeat(10)}`],
  atlassian: [`ATATT3${"a1B_-".repeat(36)}`],
  rubygems: [`rubygems_${"a1b2".repeat(12)}`],
  sentry: [`sntrys_eyJpYXQiO${"a1B2".repeat(12)}`],
  figma: [`figd_${"a1B_-".repeat(8)}`],
  supabase: [`sbp_${"a1b2".repeat(10)}`],
  notion: [`ntn_${"1".repeat(11)}${"a1B2c".repeat(7)}`],
  groq: [`gsk_${"a1B2".repeat(13)}`],
  xai: [`xai-${"a1B2".repeat(20)}`],
  planetscale: [`pscale_tkn_${"a1B_".repeat(10)}`],
  postman: [`PMAK-${"a1b2".repeat(6)}-${"a1".repeat(17)}`],
  newrelic: [`NRAK-${"A1B".repeat(9)}`],
  doppler: [`dp.pt.${"a1B2c".repeat(8)}abc`],
  terraform: [`${"a1B2c3D".repeat(2)}.atlasv1.${"a1B_-".repeat(13)}`],
  fly: [`fm2_${"a1B/+".repeat(30)}==`],
  telegram: [`1234567890:AA${"a1B_-".repeat(7)}`],
  jwt: [`eyJ${"hbGciOiJIUzI1NiJ9"}.eyJ${"zdWIiOiIxMjM0In0"}.${"a1B_-".repeat(8)}xyz`],
  "private-key": [
    `AGE-SECRET-KEY-1${"QPZRY9X8".repeat(7)}GF`,
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${"b3BlbnNzaC1rZXktdjE\n".repeat(4)}-----END OPENSSH PRIVATE KEY-----`,
    `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n${"MIIEpAIBAAKCAQEA\n".repeat(4)}-----END RSA PRIVATE KEY-----`,
    `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${"lQOYBGV\n".repeat(4)}-----END PGP PRIVATE KEY BLOCK-----`,
    `-----BEGIN EC PRIVATE KEY-----\\n${"MHcCAQEEI".repeat(8)}\\n-----END EC PRIVATE KEY-----`,
  ],
};

/** Text, what becomes of it. */
const MASKED: readonly [string, string][] = [
  ["postgres://app:s3cret@db:5432/x", "postgres://[masked:url]@db:5432/x"],
  ["redis://:s3cret@cache", "redis://[masked:url]@cache"],
  ["https://abcdef0123@host/x", "https://[masked:url]@host/x"],
  ["a://u:p@h b://x:y@z", "a://[masked:url]@h b://[masked:url]@z"],
  ["amqp://u:p%40ss%2Fw@h", "amqp://[masked:url]@h"],
  ["amqp://u:p@ss@h/x", "amqp://[masked:url]@h/x"],
  ["amqp://u:pa%2Fss?w#d@h", "amqp://[masked:url]@h"],
  ["postgres://u:p@/db?host=/tmp", "postgres://[masked:url]@/db?host=/tmp"],
  ["redis://u:p@<host>:1 x://u:p@[::1]:2", "redis://[masked:url]@<host>:1 x://[masked:url]@[::1]:2"],
  ["https://git@github.com/o/r", "https://[masked:url]@github.com/o/r"],
  ["ssh://git:pw@github.com", "ssh://[masked:url]@github.com"],
  ["Authorization:\n  Bearer abcDef123", "Authorization:\n  Bearer [masked:authorization]"],
  ["authorization:\r\n0123456789abcdef01234", "authorization:\r\n[masked:authorization]"],
  [
    String.raw`"Authorization:\n Basic dXNlcjpwYXNz"`,
    String.raw`"Authorization:\n Basic [masked:authorization]"`,
  ],
  [`Authorization:\n Digest username="M"`, "Authorization:\n Digest [masked:authorization]"],
  ["mongodb+srv://u:it's@a,b/x", "mongodb+srv://[masked:url]@a,b/x"],
  [String.raw`{"u":"https:\/\/u:p@h\/x"}`, String.raw`{"u":"https:\/\/[masked:url]@h\/x"}`],
  ["?next=https%3A%2F%2Fu%3Ap%40h%2Fx", "?next=https%3A%2F%2F[masked:url]%40h%2Fx"],
  ["Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [masked:authorization]"],
  ["authorization: bearer abc, next", "authorization: bearer [masked:authorization], next"],
  ["Proxy-Authorization: Basic YTpi\nHost: x", "Proxy-Authorization: Basic [masked:authorization]\nHost: x"],
  ["curl -H 'Authorization: Bearer a.b-c' h", "curl -H 'Authorization: Bearer [masked:authorization]' h"],
  [`curl -H "AUTHORIZATION: Own words" h`, `curl -H "AUTHORIZATION: Own [masked:authorization]" h`],
  [`{"Authorization": "Token abc"}`, `{"Authorization": "Token [masked:authorization]"}`],
  [
    String.raw`"{\"Authorization\":\"Bearer abc$d\"}"`,
    String.raw`"{\"Authorization\":\"Bearer [masked:authorization]\"}"`,
  ],
  [
    "map[Authorization:[Bearer abc] Accept:[*/*]]",
    "map[Authorization:[Bearer [masked:authorization]] Accept:[*/*]]",
  ],
  ["Authorization: 0123456789abcdef", "Authorization: [masked:authorization]"],
  [
    "Authorization: AWS4-HMAC-SHA256 Credential=X/20130524/us/s3, SignedHeaders=host;range, Signature=fe5f",
    "Authorization: AWS4-HMAC-SHA256 [masked:authorization]",
  ],
  [
    `Authorization: Digest username="M", response="6629" then`,
    "Authorization: Digest [masked:authorization] then",
  ],
  ["X-Api-Key: abcdef012345", "X-Api-Key: [masked:header]"],
  [`"X-Vault-Token":"abcdef012345"`, `"X-Vault-Token":"[masked:header]"`],
  [`aws_secret_access_key = ${"wJalr/+K".repeat(5)}`, "aws_secret_access_key = [masked:aws]"],
  [`"SecretAccessKey": "${"wJalr/+K".repeat(5)}"`, `"SecretAccessKey": "[masked:aws]"`],
  [
    `https://a.blob/x?sv=1&sig=${"aB%2F".repeat(10)}abcd%3D&se=2`,
    "https://a.blob/x?sv=1&sig=[masked:azure]&se=2",
  ],
  [`AccountKey=${"aB3/".repeat(21)}ab==;End`, "AccountKey=[masked:azure];End"],
  [
    `https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/${"aB3".repeat(8)}`,
    "https://hooks.slack.com/services/[masked:slack]",
  ],
];

/** Texts that hold no secret come back as they are. */
const PLAIN: readonly string[] = [
  "5d41402abc4b2a76b9719d911017c592",
  "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 3fa85f64-5717-4562-b3fc-2c963f66afa6",
  "http://host:8080/@scope/package",
  "https://medium.com/@name and mail me@example.org",
  "git@github.com:owner/repo.git",
  "docker://alpine@sha256:5d41402abc4b2a76b9719d911017c592",
  "npm i git+https://github.com:org/repo.git@main",
  "s3://bucket:key/path@v2",
  "mongodb://h1:27017,h2:27017/db?x=a@b",
  "ssh://git@github.com/o/r git+ssh://hg@h/r ssh://root@h ssh://ec2-user@h:22",
  "Authorization:\n  Bearer of bad news\nauthorization:\n  enabled: true\n",
  "sntrys_ figd_ sbp_admin ntn_x gsk_key xai-model PMAK-1 dp.pt.x a.atlasv1.b FlyV1 fm2_x",
  "['http://a', 'b@c'] ['http://a','b@c']",
  "http://[::1]:8080/a@b",
  "authorization: enabled",
  "Authorization: failed for user bob",
  "Authorization failed: no such role",
  "Authorization: Bearer <token>",
  "Authorization: Bearer $TOKEN",
  "-----BEGIN RSA PRIVATE KEY----- was not found in the file",
  "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
  "task-force desk-lamp sk-learn npm_config_registry hf_hub xoxo",
  "AKIA is a prefix; ghp_ too; eyJ starts a JWT",
  "[masked:github] and [masked:url]@",
  "x-api-key: <key>",
  "",
];

describe("what is a secret", () => {
  test.each(Object.entries(TOKENS))("%s", (kind, tokens) => {
    for (const token of tokens) {
      for (const [before, after] of [
        ["", ""],
        ["token=", " end"],
        ['{"a":"', '"}'],
        ["(", "),"],
      ]) {
        expect(maskText(`${before}${token}${after}`)).toBe(`${before}[masked:${kind}]${after}`);
      }
    }
  });

  test.each(MASKED)("%s", (text, masked) => {
    expect(maskText(text)).toBe(masked);
    expect(maskText(masked)).toBe(masked);
  });

  test.each(PLAIN)("not: %s", (text) => {
    expect(maskText(text)).toBe(text);
  });

  test("a token in the user info of a URL, or in a header, counts once", () => {
    const kinds: string[] = [];
    const token = TOKENS["github"]![0]!;
    maskText(`https://${token}@github.com Authorization: Bearer ${token} ${token}`, (kind) =>
      kinds.push(kind),
    );
    expect(kinds).toEqual(["url", "authorization", "github"]);
  });
});

/** In no other text of this file. */
const OWN = ["Zz9Q".repeat(9)].flatMap((own) => [`ghp_${own}`, `npm_${own}`, `sk-ant-${own}`, `xoxb-${own}`]);

describe("properties", () => {
  const pieces = fc.oneof(
    fc.constantFrom(...Object.values(TOKENS).flat(), ...MASKED.flat(), ...PLAIN),
    fc.constantFrom(
      "://",
      "@",
      ":",
      "Authorization",
      ": ",
      "Bearer ",
      "-----BEGIN PRIVATE KEY-----",
      "-----",
      '"',
      "\\",
    ),
    fc.constantFrom("[masked:", "]", "eyJ", ".", "%3A%2F%2F", "%40", "sig=", "?", "=", ",", " ", "\n"),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  const text = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(""));

  test("masking what is masked changes nothing and finds nothing", () => {
    fc.assert(
      fc.property(text, (given) => {
        const masked = maskText(given);
        const again: string[] = [];
        expect(maskText(masked, (kind) => again.push(kind))).toBe(masked);
        expect(again).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("no token survives between any two texts", () => {
    fc.assert(
      fc.property(text, fc.constantFrom(...OWN), text, (before, token, after) => {
        expect(maskText(`${before} ${token} ${after}`)).not.toContain(token);
      }),
      { numRuns: 300 },
    );
  });

  test("words, numbers, hashes and UUIDs come back as the same string", () => {
    const harmless = fc.oneof(
      fc.lorem(),
      fc.uuid(),
      fc.webUrl({ withQueryParameters: true, withFragments: true }).filter((url) => !url.includes("@")),
      fc.stringMatching(/^[0-9a-f]{0,64}$/),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.ipV6(),
    );
    fc.assert(
      fc.property(
        fc.array(harmless).map((parts) => parts.join(" ")),
        (given) => {
          expect(maskText(given)).toBe(given);
        },
      ),
    );
  });
});

test("what takes many passes ends: each secret counts once, and the text around them stays", () => {
  for (const piece of ["://a:b/", "://a:b?", "://a:b@c/", "://a:b#/", "://a:[masked:url]@"]) {
    const given = `${piece.repeat(Math.ceil(1_048_576 / piece.length))}@`;
    let count = 0;
    const masked = maskText(given, () => {
      count += 1;
    });
    expect(count, piece).toBeLessThanOrEqual(given.length / piece.length + 1);
    expect(masked.length, piece).toBeGreaterThanOrEqual(given.length / 2);
    expect(maskText(masked) === masked, piece).toBe(true);
  }
  const header = `${"Authorization:".repeat(70_000)}A1 [masked:x]`;
  expect(maskText(header)).toBe("Authorization:[masked:authorization] [masked:x]");
});

/** Each of these, repeated, takes a pattern that backtracks quadratic time: minutes. */
const BOMBS = [
  "://",
  "://a:b",
  "://a:b/c",
  "://a:'",
  "Authorization: ",
  "Authorization: A b=c, ",
  'Authorization: A b="',
].concat(
  [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----a-a",
    "-----BEGIN ",
    "eyJaaaaaaaaaaaaaaaaa.",
    "%3A%2F%2F",
    "\\",
    " ",
  ],
  ["sk-", "ghp_", "SG.aaaaaaaaaaaaaaaaaaaa.", "secret_access_key=", '"Authorization"\\\\\\', "1", "a"],
);

test("256 KiB of what patterns stumble over ends, and stays what it was or is masked for good", () => {
  for (const bomb of BOMBS) {
    const given = `${bomb.repeat(Math.ceil(262_144 / bomb.length))} @ authorization eyj %40 -----begin sk- ghp_ sg. :aa secret_access`;
    const masked = maskText(given);
    expect(maskText(masked) === masked, bomb).toBe(true);
  }
});

describe("values of JSON", () => {
  const token = TOKENS["github"]![0]!;
  const other = TOKENS["github"]![1]!;

  test("strings at any depth and names; two names stay two; what holds none is the same object", () => {
    const kinds: string[] = [];
    const value = { a: [{ [token]: 1, [other]: [`x ${token}`, 2, null, true] }], __proto__x: "b" };
    expect(maskJson(value, (kind) => kinds.push(kind))).toEqual({
      a: [{ "[masked:github]": 1, "[masked:github] (2)": ["x [masked:github]", 2, null, true] }],
      __proto__x: "b",
    });
    expect(kinds).toEqual(["github", "github", "github"]);
    const plain = { a: [{ b: "c" }] };
    expect(maskJson(plain, () => {})).toBe(plain);
    const odd = JSON.parse(`{"__proto__": "${token}"}`);
    expect(JSON.stringify(maskJson(odd, () => {}))).toBe('{"__proto__":"[masked:github]"}');
  });

  test("an input says which field held what; ids are left alone", () => {
    const { input, masked } = maskInput({
      key: `issue:${token}`,
      content: `a ${token} and ${other} at x://u:p@h`,
      tags: ["t", token],
      metadata: { [token]: 1 },
      agent: token,
      server: "h",
      id: token,
      eventId: token,
    });
    expect(masked).toEqual([
      { field: "key", kind: "github", count: 1 },
      { field: "content", kind: "github", count: 2 },
      { field: "content", kind: "url", count: 1 },
      { field: "agent", kind: "github", count: 1 },
      { field: "tags", kind: "github", count: 1 },
      { field: "metadata", kind: "github", count: 1 },
    ]);
    expect(input).toMatchObject({ id: token, eventId: token, server: "h", details: undefined });
    expect(input.secretIds).toEqual({ id: "[masked:github]", eventId: "[masked:github]" });
  });
});
