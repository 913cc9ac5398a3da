/** Words for file names. */

/** Longest description in a file name, characters. */
export const SLUG_LENGTH = 60;

/** Latin letters that have no decomposition into a base letter and marks. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  đ: "d",
  ð: "d",
  þ: "th",
  ł: "l",
  ı: "i",
};

/**
 * `Índice auf "Größe"` → `indice-auf-grosse`: lower case, Latin letters without their marks, everything else a separator. Letters of
 * other scripts are dropped; may be empty.
 */
export function slugOf(text: string, separator: "-" | "_"): string {
  const words = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^\x00-\x7f]/g, (letter) => LETTERS[letter] ?? " ")
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
  let slug = "";
  for (const word of words) {
    const longer = slug === "" ? word : slug + separator + word;
    if (longer.length > SLUG_LENGTH) break;
    slug = longer;
  }
  return slug === "" ? (words[0] ?? "").slice(0, SLUG_LENGTH) : slug;
}

/** A file name's part as words. */
export function wordsOf(slug: string): string {
  return slug.replace(/[-_]+/g, " ").trim();
}
