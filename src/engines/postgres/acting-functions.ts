/** Functions of the server and its extensions that act at once: no transaction, read-only or rolled back, holds them back. */
import { tokensOf } from "./statement-kind.ts";

/** Names as patterns (https://www.postgresql.org/docs/current/functions-admin.html and the contrib modules). */
const ACTING = [
  // sessions, configuration and logs of the server
  "pg_(?:cancel|terminate)_backend",
  "pg_reload_conf|pg_rotate_logfile(?:_old)?|pg_log_backend_memory_contexts|pg_log_standby_snapshot",
  // WAL, backups, replication
  "pg_promote|pg_switch_(?:wal|xlog)|pg_create_restore_point|pg_(?:wal|xlog)_replay_(?:pause|resume)",
  "pg_backup_(?:start|stop)|pg_(?:start|stop)_backup|pg_logical_emit_message",
  "pg_(?:create|drop|copy|sync)_(?:\\w+_)?replication_slots?|pg_replication_slot_advance",
  "pg_logical_slot_get_(?:binary_)?changes|pg_replication_origin_(?:create|drop|advance|(?:session|xact)_(?:setup|reset))",
  // statistics of the server, its modules and its planner
  "pg_stat_(?!get_)(?:\\w+_)?reset(?:_\\w+)?|pg_(?:restore|clear|set)_(?:relation|attribute)_stats",
  // what other sessions wait for
  "pg_(?:try_)?advisory_(?:xact_)?lock(?:_shared)?",
  // files of the server, and what is written beside a transaction
  "lo_(?:import|export)|pg_file_(?:write|sync|rename|unlink)|pg_import_system_collations",
  "brin_(?:summarize|desummarize)_\\w+|gin_clean_pending_list|pg_truncate_visibility_map|heap_force_(?:kill|freeze)",
  "pg_nextoid|pg_stop_making_pinned_objects|pg_buffercache_(?:evict|mark_dirty)\\w*|autoprewarm_\\w+",
  // connections of their own
  "dblink(?:_\\w+)?|pg_background_\\w+",
].join("|");

const NAME = new RegExp(`^(?:${ACTING})$`);
const CALL = new RegExp(`(?<!\\w)(${ACTING})"?\\s*\\(`, "i");

/** They run a text that they are given. */
const RUNS_TEXT = /^(?:query_to_xml(?:schema|_and_xmlschema)?|ts_stat|ts_rewrite|crosstab\w*|connectby)$/;

/**
 * The first function that a statement calls and that acts outside of its transaction; null: none that is known. Names count however they
 * are written (quoted, with a schema, U&"…"), strings only where a function of the server runs them as a statement. Not seen: what a function
 * or view of the database's users calls, and a text that is put together only when it runs.
 */
export function actingFunction(text: string): string | null {
  const tokens = tokensOf(text, Number.POSITIVE_INFINITY);
  const called = tokens.flatMap((token, at) => {
    if (token !== "(") return [];
    const isEscaped = tokens[at - 2] === "uescape";
    return [nameOf(tokens[isEscaped ? at - 3 : at - 1] ?? "", isEscaped ? tokens[at - 1]![1]! : "\\")];
  });
  const acting = called.find((name) => NAME.test(name));
  if (acting !== undefined) return acting;
  if (!called.some((name) => RUNS_TEXT.test(name))) return null;
  const strings = tokens.filter((token) => /^(?:[a-z]&?)?'|^\$./i.test(token));
  for (const string of strings) {
    const [, name] = CALL.exec(string) ?? [];
    if (name !== undefined) return name.toLowerCase();
  }
  return null;
}

/** An identifier as the server reads it: a word is in lower case already. */
function nameOf(token: string, mark: string): string {
  const quoted = /^(u&)?"([\s\S]*)"$/i.exec(token);
  if (!quoted) return token;
  const name = quoted[2]!.replaceAll('""', '"');
  return quoted[1] === undefined ? name : unescaped(name, mark);
}

/** `\0061`, `\+000061` and `\\`, with the escape character of UESCAPE. */
function unescaped(name: string, mark: string): string {
  let plain = "";
  for (let at = 0; at < name.length; ) {
    const code = name[at] === mark && /^(?:[\da-f]{4}|\+[\da-f]{6})/i.exec(name.slice(at + 1, at + 8))?.[0];
    if (code) plain += String.fromCodePoint(Math.min(Number.parseInt(code.replace("+", ""), 16), 0x10ffff));
    else plain += name[at];
    at += code ? code.length + 1 : name[at] === mark ? 2 : 1;
  }
  return plain;
}
