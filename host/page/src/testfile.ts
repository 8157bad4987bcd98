// A delivery as a case of a test file (docs/testing.md): the message in, and what came of it.
import type { Delivered } from "./api";

/** A string of TOML. JSON escapes what TOML does, but for DEL and halves of a character. */
function text(value: string): string {
  return JSON.stringify(value.replace(/\p{Surrogate}/gu, "\ufffd")).replaceAll("\u007f", "\\u007f");
}

function key(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : text(name);
}

/** A value of JSON, in line. TOML has no null: what is null is left out. */
function inline(value: unknown): string {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.filter((one) => one !== null).map(inline).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).filter(([, one]) => one !== null);
    return pairs.length === 0 ? "{}" : `{ ${pairs.map(([name, one]) => `${key(name)} = ${inline(one)}`).join(", ")} }`;
  }
  return String(value);
}

/** What the host writes into a header is no part of the message that was sent. */
function asSent(delivery: Record<string, unknown>): Record<string, unknown> {
  const headers = Object.entries((delivery["headers"] ?? {}) as Record<string, unknown>);
  const own = headers.filter(([name]) => !name.startsWith("x-hive-") && !["traceparent", "tracestate", "baggage"].includes(name));
  return { ...delivery, headers: Object.fromEntries(own) };
}

function expected({ action, class: failure, error, published_to: targets, publications }: Delivered): string[] {
  if (action === null) return [];
  const first = error?.split("\n")[0] ?? "";
  switch (action) {
    case "failed":
      return [`failure = ${text(failure ?? "error")}`, ...(first === "" ? [] : [`error = { contains = ${text(first)} }`])];
    case "retry":
    case "reject":
      return [`action = ${text(action)}`, ...(first === "" ? [] : [`reason = { contains = ${text(first)} }`])];
    case "publish": {
      // All of them, or none: a case names every publication.
      const all = targets?.length === publications ? targets : [];
      const lines = all.flatMap((target) => [
        "",
        "[[component.expect.publications]]",
        `exchange = ${text(target.exchange)}`,
        `routing-key = ${text(target.routing_key)}`,
      ]);
      return [`action = "publish"`, ...lines];
    }
    default:
      return [`action = ${text(action)}`];
  }
}

/** The whole file; null of a delivery whose message is not there as a whole. */
export function testFile(one: Delivered): string | null {
  if (one.message === undefined || one.message.cut) return null;
  const { headers, ...rest } = asSent(one.message.delivery);
  const pairs = Object.entries(rest).filter(([, value]) => value !== null);
  const withHeaders = Object.keys(headers as object).length > 0 ? [...pairs, ["headers", headers] as const] : pairs;
  const lines = [
    `# ${one.consumer}.test.toml, beside hive.toml; \`hive-host test\` runs it.`,
    "[[component]]",
    `name = ${text(`${one.delivery}: ${one.action ?? one.outcome}`)}`,
    `consumer = ${text(one.consumer)}`,
    "",
    "[component.message]",
    ...withHeaders.map(([name, value]) => `${key(name)} = ${inline(value)}`),
  ];
  const expect = expected(one);
  if (expect.length > 0) lines.push("", "[component.expect]", ...expect);
  return `${lines.join("\n")}\n`;
}
