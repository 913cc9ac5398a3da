/** Query parameters of connection URLs that carry secrets. */
const SECRET_PARAMETERS = /^(password|pass|pwd|sslpassword|token|secret|auth)$/i;

/** Replaces user info and secret parameters of a URL; text that is no URL comes back as `***`. */
export function redactUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return "***";
  }
  if (url.password !== "") url.password = "***";
  for (const name of [...url.searchParams.keys()]) {
    if (SECRET_PARAMETERS.test(name)) url.searchParams.set(name, "***");
  }
  return url.href;
}

/**
 * Secrets of a configuration as they may appear in other people's messages: as written, percent-decoded and as the
 * whole URL. Values under four characters are left out: masking every "a" of a text would say more than it hides.
 */
export function secretsIn(values: Iterable<{ value: string; kind: "value" | "url" }>): string[] {
  const found = new Set<string>();
  const add = (secret: string) => {
    if (secret.length >= 4) found.add(secret);
  };
  for (const { value, kind } of values) {
    if (kind === "value") {
      add(value);
      add(encodeURIComponent(value));
      continue;
    }
    let url: URL;
    try {
      url = new URL(value);
    } catch {
      add(value);
      continue;
    }
    for (const [name, parameter] of url.searchParams) if (SECRET_PARAMETERS.test(name)) add(parameter);
    if (url.password === "") continue;
    add(url.password);
    try {
      add(decodeURIComponent(url.password));
    } catch {
      // not percent-encoded: the raw form above is the secret
    }
  }
  return [...found].sort((a, b) => b.length - a.length);
}

/** Returns a function that replaces every secret, and any user info inside a URL, by `***`. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  return (text) => {
    let clean = text.replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s/@]+@/gi, "$1***@");
    for (const secret of secrets) clean = clean.replaceAll(secret, "***");
    return clean;
  };
}
