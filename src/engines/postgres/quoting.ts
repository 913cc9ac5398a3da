/** Names and texts in statements and connection strings, and back. */

/** A name in a statement. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The name that an identifier in a statement stands for. */
export function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** With standard_conforming_strings on. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name alone is taken for a connection string when it has a "=" in it. */
export function connectionString(database: string): string {
  return `dbname='${database.replaceAll(/['\\]/g, "\\$&")}'`;
}
