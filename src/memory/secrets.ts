/**
 * Secrets in a text, found by their form and replaced by `[masked:KIND]` before the text reaches a disk. The list is pinned: nothing is guessed
 * from entropy, and bare hexadecimal digits and UUIDs are never secrets. Where no source is named, the form is that of the rule of gitleaks 8
 * (config/gitleaks.toml) or of the vendor's page on its token formats, with the shortest length that either of them allows.
 */

/** One form. All patterns are linear: they start at a fixed text and read on through one class of characters. */
interface Rule {
  kind: string;
  /** A text that holds none of these, case ignored, holds no such secret: looking for them is quick. */
  triggers: readonly string[];
  /** What stands before the secret and stays. */
  before?: string;
  secret: string;
}

/** Letters in either case: a flag would hold for the whole expression. */
const anyCase = (text: string) => text.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);

/** No token starts within a word. */
const START = "(?<![A-Za-z0-9])";
const token = (kind: string, triggers: string, secret: string): Rule => ({
  kind,
  triggers: triggers.split(" "),
  secret: START + secret,
});

/** A quote before or after a name or value, with the backslashes of JSON within JSON. */
const QUOTE = "\\\\{0,8}[\"'`]";
const GAP = "[ \\t]{0,8}";
/** A credential ends at white space, a quote or a separator; placeholders such as `<token>` and `$TOKEN` are none. */
const CREDENTIAL_CHARACTER = "[^\\s\"'`,;\\\\\\]]";
const credential = (least: number) => `(?![<\${*[])${CREDENTIAL_CHARACTER}{${least},}`;
const HEADER = `${anyCase("authorization")}(?:${QUOTE})?${GAP}(?::|=>|=)${GAP}(?:${QUOTE}|\\[(?!masked:))?`;
/** Either the name or the value is quoted: curl's -H and JSON. */
const QUOTED_HEADER = `(?:${QUOTE}(?:${anyCase("proxy")}-)?${anyCase("authorization")}${GAP}:${GAP}|${anyCase("authorization")}(?:${QUOTE})?${GAP}(?::|=>|=)${GAP}${QUOTE})`;
const SCHEME = "[A-Za-z][A-Za-z0-9-]{0,40}[ \\t]{1,8}";
/** Schemes of RFC 7617, 6750, 4559 and of wide use that one credential follows. */
const ONE_CREDENTIAL = `(?:${["basic", "bearer", "token", "negotiate", "ntlm", "apikey", "api-key", "key", "jwt", "dpop", "ssws", "splunk", "genie[kK]ey"].map(anyCase).join("|")})[ \\t]{1,8}`;
const PARAMETER = `[A-Za-z][\\w-]{0,40}=(?:\\\\{0,8}"(?!\\[masked:)[^"\\\\\\r\\n]*\\\\{0,8}"|(?![<\${*[])[^\\s"'\`,\\\\\\]]+)`;
const PARAMETERS = `${PARAMETER}(?:[ \\t]{0,8},[ \\t]{0,8}${PARAMETER})*`;
/** The name alone on its line, the line's end perhaps written as JSON does. */
const HEADER_LINE = `${anyCase("authorization")}(?:${QUOTE})?${GAP}:${GAP}(?:\\r?\\n|(?:\\\\r)?\\\\n)[ \\t]{0,16}(?:${QUOTE})?`;
const authorization = (before: string, secret: string): Rule => ({
  kind: "authorization",
  triggers: ["authorization"],
  before,
  secret,
});

const SCHEME_END = ":(?:\\/\\/|\\\\\\/\\\\\\/)";
/** Characters of a password in a URL as people write them; an apostrophe that ends the URL is none. */
const PASSWORD = "(?:[^\\s/?#\"'`<>\\\\]|'(?![\\s,;:)\\]}]|$))";
/** A host (none for a socket) up to where it ends, or a placeholder; `image@sha256:…` is a digest. */
const HOST_FOLLOWS =
  "(?=@(?!sha(?:256|512):)(?:<|[^\\s/?#:@\"'`<>\\\\,;()|]{0,255}(?:[/?#:\\s\"'`<>\\\\,;()|]|$)))";
/** Names that everybody uses for an SSH login by key. */
const NO_LOGIN_NAME = "(?!(?<=ssh:\\/\\/)(?:git|hg|root|ec2-user)@)";
const url = (secret: string): Rule => ({
  kind: "url",
  triggers: ["@"],
  before: SCHEME_END,
  secret: `(?!\\[masked:url\\]@)${secret}${HOST_FOLLOWS}`,
});

const RULES: readonly Rule[] = [
  // RFC 3986 section 3.2.1: the user alone (often a token), user and password, a password with a bare ? or # (unless a port ends there).
  // A bare / ends the user info: `git+https://host:owner/name@branch` holds none
  url(`${NO_LOGIN_NAME}[\\w.~%+!$&*=-]+`),
  url(`[^\\s/?#"'\`<>\\\\:@]*:${PASSWORD}*`),
  url("(?!\\[)[^\\s/?#\"'`<>\\\\:@]*:(?!\\d{0,5}(?:[/?#\\s\"'`<>\\\\]|$))[^\\s/\"'`<>\\\\@]{1,256}"),
  // a whole URL as a parameter of another one
  {
    kind: "url",
    triggers: ["%40"],
    before: "%3[aA]%2[fF]%2[fF]",
    secret: "(?!\\[masked:url\\])(?:[^%\\s/?#&\"'`<>]|%(?!2[fF]|3[fF]|23|40))+(?=%40)",
  },

  // RFC 9110 section 11.6.2 and 11.7.2 (Proxy-Authorization ends like it)
  authorization(`${HEADER}${ONE_CREDENTIAL}`, credential(1)),
  authorization(`${HEADER}${SCHEME}`, PARAMETERS),
  authorization(`${QUOTED_HEADER}${SCHEME}`, credential(1)),
  // a scheme that nobody knows, or none: prose follows a colon too, so the credential must look like one
  authorization(
    `${HEADER}(?:${SCHEME})?`,
    `(?=${CREDENTIAL_CHARACTER}{0,64}[0-9A-Z])(?!${CREDENTIAL_CHARACTER}{0,64}[ \\t]{1,8}\\[masked:)${credential(8)}`,
  ),
  // the value on the next line: prose and YAML stand there too
  authorization(
    `${HEADER_LINE}${ONE_CREDENTIAL}`,
    `(?=${CREDENTIAL_CHARACTER}{0,64}[0-9A-Z])${credential(8)}`,
  ),
  authorization(
    `${HEADER_LINE}(?:${["digest", "oauth", "hawk", "aws4-hmac-sha256"].map(anyCase).join("|")})[ \\t]{1,8}`,
    PARAMETERS,
  ),
  authorization(HEADER_LINE, "(?=[A-Za-z0-9._~+/=-]{0,64}[0-9])[A-Za-z0-9][A-Za-z0-9._~+/=-]{19,}"),
  {
    kind: "header",
    triggers: ["-key", "-token"],
    before: `(?:${["x-api-key", "x-auth-token", "x-vault-token", "x-amz-security-token", "x-access-token", "private-token"].map(anyCase).join("|")})(?:${QUOTE})?${GAP}(?::|=>|=)${GAP}(?:${QUOTE}|\\[(?!masked:))?`,
    secret: credential(8),
  },

  // RFC 7468, OpenSSH, OpenPGP: the whole block; a key that was cut off as far as its lines go
  {
    kind: "private-key",
    triggers: ["-----begin"],
    secret:
      "-----BEGIN[ A-Z0-9_-]{0,64}PRIVATE KEY(?: BLOCK)?-----(?:(?:[^-]|-(?!----)){0,65536}-----END[ A-Z0-9_-]{0,64}-----|(?:(?:\\\\[nr]|\\s){1,8}[A-Za-z0-9+/=]{32,})+)",
  },
  token("private-key", "age-secret-key", "AGE-SECRET-KEY-1[A-Z0-9]{40,}"),

  // https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
  token("github", "ghp_ gho_ ghs_ ghu_ ghr_", "gh[opsur]_[A-Za-z0-9]{36,}"),
  token("github", "github_pat_", "github_pat_[A-Za-z0-9_]{40,}"),
  // https://docs.gitlab.com/security/tokens/#token-prefixes
  token(
    "gitlab",
    "glpat- gloas- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- glwt-",
    "gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|wt)-[A-Za-z0-9_.-]{20,}",
  ),
  token("gitlab", "gr1348941", "GR1348941[A-Za-z0-9_-]{20,}"),
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
  token("aws", "akia asia abia acca a3t", "(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])"),
  {
    kind: "aws",
    triggers: ["secretaccess", "secret_access"],
    before: `${anyCase("secret")}_?${anyCase("access")}_?${anyCase("key")}(?:${QUOTE})?${GAP}(?::|=>|=)${GAP}(?:${QUOTE})?`,
    secret: "[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
  },
  {
    kind: "aws",
    triggers: ["sessiontoken", "session_token"],
    before: `${anyCase("session")}_?${anyCase("token")}(?:${QUOTE})?${GAP}(?::|=>|=)${GAP}(?:${QUOTE})?`,
    secret: "[A-Za-z0-9/+]{80,}={0,2}",
  },
  // https://docs.slack.dev/authentication/tokens
  token("slack", "xox", "xox(?:[abeoprs]|e\\.xox[bp])-[A-Za-z0-9-]{10,}"),
  token("slack", "xapp-", "xapp-[0-9]-[A-Za-z0-9-]{10,}"),
  {
    kind: "slack",
    triggers: ["hooks.slack.com"],
    before: "hooks\\.slack\\.com\\/(?:services|workflows|triggers)\\/",
    secret: "[A-Za-z0-9/+_-]{20,}",
  },
  // https://docs.stripe.com/keys
  token("stripe", "sk_ rk_", "[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}"),
  token("stripe", "whsec_", "whsec_[A-Za-z0-9+/=]{24,}"),
  // gitleaks openai-api-key, anthropic-api-key, anthropic-admin-api-key
  token("openai", "sk-", "sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{40,})"),
  token("anthropic", "sk-ant-", "sk-ant-[A-Za-z0-9_-]{20,}"),
  // gitleaks gcp-api-key; https://developers.google.com/identity/protocols/oauth2 (ya29. access tokens, GOCSPX- client secrets)
  token("google", "aiza", "AIza[A-Za-z0-9_-]{35,}"),
  token("google", "ya29.", "ya29\\.[A-Za-z0-9_-]{20,}"),
  token("google", "gocspx-", "GOCSPX-[A-Za-z0-9_-]{20,}"),
  token("npm", "npm_", "npm_[A-Za-z0-9]{36,}"),
  token("pypi", "pypi-age", "pypi-AgE[A-Za-z0-9_-]{40,}"),
  token("rubygems", "rubygems_", "rubygems_[a-f0-9]{48,}"),
  token("huggingface", "hf_", "hf_[A-Za-z0-9]{34,}"),
  token("digitalocean", "doo_v1_ dop_v1_ dor_v1_", "do[opr]_v1_[a-f0-9]{64,}"),
  token("sendgrid", "sg.", "SG\\.[A-Za-z0-9_-]{16,64}\\.[A-Za-z0-9_-]{16,}"),
  // https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes
  token("vault", "hvs. hvb. hvr.", "hv[sbr]\\.[A-Za-z0-9_-]{20,}"),
  token("docker", "dckr_", "dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
  token("grafana", "glsa_ glc_", "gl(?:sa|c)_[A-Za-z0-9+/_=]{32,}"),
  token("databricks", "dapi", "dapi[a-f0-9]{32,}"),
  token("shopify", "shpat_ shpca_ shppa_ shpss_", "shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32,}"),
  token("linear", "lin_api_", "lin_api_[A-Za-z0-9]{40,}"),
  token("atlassian", "atatt3", "ATATT3[A-Za-z0-9_=-]{60,}"),
  // gitleaks sentry-org-token, sentry-user-token; figma, supabase, notion, groq, xai: the vendors' own lengths
  token("sentry", "sntrys_", "sntrys_[A-Za-z0-9+/=_-]{40,}"),
  token("sentry", "sntryu_", "sntryu_[a-f0-9]{64,}"),
  token("figma", "figd_", "figd_[A-Za-z0-9_-]{40,}"),
  token("supabase", "sbp_", "sbp_[a-f0-9]{40,}"),
  token("notion", "ntn_", "ntn_[0-9]{11}[A-Za-z0-9]{35,}"),
  token("groq", "gsk_", "gsk_[A-Za-z0-9]{52,}"),
  token("xai", "xai-", "xai-[A-Za-z0-9_]{80,}"),
  // gitleaks planetscale-api-token, postman-api-token, new-relic-user-api-key, doppler-api-token, hashicorp-tf-api-token, flyio-access-token
  token("planetscale", "pscale_tkn_", "pscale_tkn_[A-Za-z0-9_=.-]{32,}"),
  token("postman", "pmak-", "PMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34,}"),
  token("newrelic", "nrak-", "NRAK-[A-Za-z0-9]{27,}"),
  token("doppler", "dp.pt.", "dp\\.pt\\.[A-Za-z0-9]{40,}"),
  token("terraform", ".atlasv1.", "[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{60,}"),
  token("fly", "fm2_ fm1r_ fm1a_", "fm(?:2|1[ar])_[A-Za-z0-9+/]{100,}={0,3}"),
  token("telegram", ":aa", "[0-9]{8,10}:AA[A-Za-z0-9_-]{33,}"),
  // https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas#specify-the-signature (base64 of 32 bytes, URL-encoded)
  {
    kind: "azure",
    triggers: ["sig="],
    before: "[?&;]sig=",
    secret: "[A-Za-z0-9%+/_-]{43,}(?:=|%3[dD])?",
  },
  // https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string (64 bytes of base64)
  {
    kind: "azure",
    triggers: ["key="],
    before: "(?:Account|SharedAccess)Key=",
    secret: "[A-Za-z0-9+/]{40,}={0,2}",
  },
  // RFC 7519, RFC 7516: base64url of `{"`, three or five parts
  token(
    "jwt",
    "eyj",
    "(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{12,}\\.[A-Za-z0-9_-]{12,}\\.[A-Za-z0-9_-]*(?:\\.[A-Za-z0-9_-]+){0,2}",
  ),
];

/** One search for all triggers: most texts end here, after .7 microseconds for 200 characters. */
const ANY_TRIGGER = new RegExp(
  [...new Set(RULES.flatMap(({ triggers }) => triggers))]
    .map((trigger) => trigger.replace(/[^a-z0-9_]/g, "\\$&"))
    .join("|"),
  "i",
);

/** The rules that a text can match, as one expression; there are few different ones. */
const expressions = new Map<string, RegExp>();
const EXPRESSIONS_LIMIT = 1000;

function suspected(text: string): readonly Rule[] {
  if (!ANY_TRIGGER.test(text)) return [];
  const folded = text.toLowerCase();
  return RULES.filter(({ triggers }) => triggers.some((trigger) => folded.includes(trigger)));
}

/** All rules in one, two groups each: what stays and what goes. The leftmost match wins, so a token within a URL counts once. */
function expressionOf(rules: readonly Rule[]): RegExp {
  const source = rules.map(({ before = "", secret }) => `(${before})(${secret})`).join("|");
  const known = expressions.get(source);
  if (known) return known;
  if (expressions.size >= EXPRESSIONS_LIMIT) expressions.clear();
  const expression = new RegExp(source, "g");
  expressions.set(source, expression);
  return expression;
}

/** Texts of people need two; the bound keeps a made-up one from taking a pass for each of its secrets. */
const PASSES = 8;

/**
 * The text with each secret replaced; the same string when it holds none. Masking again changes nothing.
 * @param found called with the kind of each secret
 */
export function maskText(text: string, found: (kind: string) => void = () => {}): string {
  // what was masked can bring to light what it stood in the way of: until nothing changes
  let current = text;
  for (let pass = 0; pass < PASSES; pass += 1) {
    const rules = suspected(current);
    if (rules.length === 0) break;
    const masked = current.replace(expressionOf(rules), (_whole: string, ...groups: unknown[]) => {
      const nth = rules.findIndex((_, index) => groups[2 * index + 1] !== undefined);
      const { kind } = rules[nth]!;
      // what was counted already may be part of a longer secret
      if (pass === 0 || !(groups[2 * nth + 1] as string).includes("[masked:")) found(kind);
      return `${groups[2 * nth] as string}[masked:${kind}]`;
    });
    if (masked === current) break;
    current = masked;
  }
  return current;
}

/** A JSON value with the secrets of all its strings masked, names included; the same value when it holds none. */
export function maskJson(value: unknown, found: (kind: string) => void): unknown {
  if (typeof value === "string") return maskText(value, found);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => maskJson(item, found));
    return items.some((item, nth) => item !== value[nth]) ? items : value;
  }
  const entries = new Map<string, unknown>();
  let isChanged = false;
  for (const [name, item] of Object.entries(value)) {
    const masked = maskText(name, found);
    const content = maskJson(item, found);
    isChanged ||= masked !== name || content !== item;
    entries.set(freeName(masked, entries), content);
  }
  return isChanged ? Object.fromEntries(entries) : value;
}

/** Two names that differ only in their secrets stay two. */
function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  let free = name;
  for (let nth = 2; taken.has(free); nth += 1) free = `${name} (${nth})`;
  return free;
}
