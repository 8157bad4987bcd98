// The body of a message: JSON set out, text as it is, bytes in hexadecimal. Always as text, whatever it says.
import { bytes } from "../words";
import type { Whole } from "../api";

/** Octets that are set out; a page is no hex editor. */
const MOST_OCTETS = 4096;

/** JSON with its lines, or the text as it came. */
export function pretty(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

/** As `xxd` prints it. */
export function hex(base64: string): string {
  const octets = Uint8Array.from(atob(base64).slice(0, MOST_OCTETS), (sign) => sign.charCodeAt(0));
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 16) {
    const line = [...octets.slice(at, at + 16)];
    const digits = line.map((octet) => octet.toString(16).padStart(2, "0")).join(" ");
    const text = line.map((octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

export function Body({ message }: { message: Whole }) {
  const { body, cut } = message;
  if (body === undefined) return <p class="quiet">Bodies are not shown on this host (<code>host.admin_bodies</code>).</p>;
  if (message.bytes === 0) return <p class="quiet">The body is empty.</p>;
  const text = body.text !== undefined ? pretty(body.text) : hex(body.base64 ?? "");
  return (
    <>
      {cut === true && (
        <p class="notice warn">
          Cut: the first 64 KiB of {bytes(message.bytes)}. <code>hive-host dead show</code> has all of it.
        </p>
      )}
      {body.base64 !== undefined && <p class="quiet">{bytes(message.bytes)} that are not text, in hexadecimal</p>}
      <pre class="body" tabIndex={0} aria-label="Body">{text}</pre>
    </>
  );
}
