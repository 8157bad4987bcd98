/** The value of a key of the component's configuration; undefined if the key is not set. */
export function get(key: string): string | undefined;

/** Every key with its value. */
export function all(): Record<string, string>;
