import { ask, type PostgresCheck } from "./kit.ts";

interface Row {
  installed: boolean;
  offered: boolean;
}

export const vectorExtension: PostgresCheck = {
  id: "postgres-vector-extension",
  area: "postgres",
  title: "the extension vector is missing",
  looks: "pg_extension, pg_available_extensions",
  async run(call, scope) {
    const [row] = await ask<Row>(
      call,
      scope,
      `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') AS installed,
         EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS offered`,
    );
    const { installed, offered } = row!;
    if (installed) return [];
    return [
      {
        severity: "info",
        subject: "extension vector",
        evidence: offered ? "on the server, not in this database" : "not on the server",
        cause: "the tables for embeddings need it; everything else works without",
        remedies: offered ? [{ argv: ["opsctl", "init", "postgres", "--sets", "vectors"], safe: false }] : [],
        advice: offered
          ? "only where embeddings are wanted"
          : "only where embeddings are wanted: install pgvector on the server (package postgresql-VERSION-pgvector, image pgvector/pgvector), then opsctl init postgres --sets vectors",
      },
    ];
  },
};
