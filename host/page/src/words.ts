// Numbers and moments as people read them.

const UNITS: [number, string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A length of time, as in `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const parts: string[] = [];
  let rest = Math.floor(seconds);
  for (const [unit, name] of UNITS) {
    const count = Math.floor(rest / unit);
    if (count > 0) parts.push(`${count} ${name}`);
    rest -= count * unit;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** Milliseconds with a sensible number of digits. */
export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(value >= 10_000 ? 0 : 1)} s`;
  return `${value.toFixed(value >= 10 ? 0 : value >= 1 ? 1 : 2)} ms`;
}

/** So many a second. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toLocaleString("en");
}

export function bytes(value: number): string {
  if (value >= 1 << 20) return `${(value / (1 << 20)).toFixed(1)} MiB`;
  if (value >= 1 << 10) return `${(value / (1 << 10)).toFixed(1)} KiB`;
  return `${value} B`;
}

/** `1 message`, `14 messages`. */
export function many(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** A text without characters that a reader cannot see, or that turn what stands beside them around. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`);
}

/** A moment, in the time of the reader. */
export function moment(value: string | number | undefined | null): string {
  if (value === undefined || value === null) return "–";
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** How long ago. */
export function ago(value: string | number): string {
  const then = typeof value === "number" ? value * 1000 : Date.parse(value);
  const seconds = (Date.now() - then) / 1000;
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}

const STATES: Record<string, string> = {
  dead_lettered: "dead-lettered",
  dead_letter: "dead letters",
  consumed: "queue",
};

/** A word of the API as it is shown. */
export function word(name: string): string {
  return STATES[name] ?? name.replaceAll("_", " ");
}
