/** A setting in one of its three forms: X, the file named by X_FILE, the output of the command in X_COMMAND. */
import { readFileSync } from "node:fs";
import { usageError } from "../errors.ts";
import type { Setting } from "./settings.ts";
import type { Source } from "./sources.ts";

/**
 * The value a source has for a setting; undefined when it has none.
 * @throws OpsError `usage` for two forms at once, a file or command that gives nothing, a command from a file that may not name one
 */
export async function valueFrom(
  setting: Setting,
  source: Source,
  signal?: AbortSignal,
): Promise<{ text: string; label: string; file?: string } | undefined> {
  const { values, label, mayRunCommands } = source;
  const forms = setting.secret
    ? [setting.name, `${setting.name}_FILE`, `${setting.name}_COMMAND`]
    : [setting.name];
  const given = forms.filter((form) => values[form]);
  if (given.length > 1) {
    throw usageError(`${given.join(" and ")} are both set (${label})`, "set one of them");
  }
  const form = given[0];
  if (form === undefined) return undefined;
  const isCommand = form === setting.name ? setting.runs === true : form.endsWith("_COMMAND");
  if (isCommand && !mayRunCommands) {
    throw usageError(
      `${form}: a file found in the working directory may not run a command`,
      `name the file by --config or OPSCTL_CONFIG, or set ${form} in the environment`,
    );
  }
  if (form === setting.name) return { text: values[form]!, label };
  if (form.endsWith("_FILE"))
    return {
      text: readSecretFile(form, values[form]!),
      label: `${label}, ${form}`,
      file: values[form]!,
    };
  return { text: await runSecretCommand(form, values[form]!, signal), label: `${label}, ${form}` };
}

function readSecretFile(form: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw usageError(
      `${form}: ${path} cannot be read (${reason})`,
      "name a readable file that holds only the value",
    );
  }
  return trimmedSecret(form, text);
}

async function runSecretCommand(
  form: string,
  command: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { runTool } = await import("../child.ts");
  const { stdout } = await runTool(form, command, 30_000, signal);
  return trimmedSecret(form, stdout);
}

function trimmedSecret(form: string, text: string): string {
  const value = text.replace(/\r?\n$/, "");
  if (value === "")
    throw usageError(`${form} gave an empty value`, "an engine is left out by unsetting its variables");
  return value;
}
