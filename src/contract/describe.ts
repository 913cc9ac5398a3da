import type { GenericSchema } from "valibot";
import { CONTRACTS } from "./index.ts";

/** The parts of a valibot schema that are read here. */
interface Node {
  type: string;
  entries?: Record<string, GenericSchema>;
  item?: GenericSchema;
  wrapped?: GenericSchema;
  options?: readonly (string | GenericSchema)[];
  value?: GenericSchema;
}

/** Every contract as text, one field a line, for `opsctl help json` and the README. */
export function describeContracts(): string {
  const parts = Object.entries(CONTRACTS).map(([command, schema]) => `${command}\n${describe(schema, "  ")}`);
  return `With --json a command prints one object; fields are only ever added.\n\n${parts.join("\n\n")}\n`;
}

function describe(schema: GenericSchema, indent: string): string {
  const { entries } = schema as unknown as Node;
  if (!entries) return `${indent}${typeName(schema)}`;
  return Object.entries(entries)
    .map(([name, field]) => {
      const nested = nestedObject(field);
      const line = `${indent}${name}: ${typeName(field)}`;
      return nested ? `${line}\n${describe(nested, `${indent}  `)}` : line;
    })
    .join("\n");
}

/** The object inside a field, a list or an alternative (the first one). */
function nestedObject(schema: GenericSchema): GenericSchema | undefined {
  const node = schema as unknown as Node;
  if (node.entries) return schema;
  const [first] = node.type === "union" ? (node.options as readonly GenericSchema[]) : [];
  const inner = node.item ?? node.wrapped ?? first;
  return inner && nestedObject(inner);
}

function typeName(schema: GenericSchema): string {
  const node = schema as unknown as Node;
  switch (node.type) {
    case "nullable":
      return `${typeName(node.wrapped!)} | null`;
    case "array":
      return `[${typeName(node.item!)}]`;
    case "picklist":
      return (node.options as readonly string[]).map((option) => JSON.stringify(option)).join(" | ");
    case "union":
      return typeName((node.options as readonly GenericSchema[])[0]!);
    case "record":
      return `{name: ${typeName(node.value!)}}`;
    case "strict_object":
      return "object";
    default:
      return node.type;
  }
}
