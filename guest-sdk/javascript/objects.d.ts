/** The objects under one name of `allow.blobstore`. An object store that is away, full or refuses the host is an Error;
 * a handler that throws it has its deliveries kept by the host, and no retry is used. */
export class Container {
  private constructor();

  /** The container of this name. */
  static open(name: string): Container;

  /** Writes an object, and replaces one of the same name. It appears whole or not at all. */
  put(name: string, content: Uint8Array | string): void;

  /** The content of an object of up to 16 MiB; undefined if there is no such object. */
  get(name: string): Uint8Array | undefined;

  /** Size in bytes, and time of the last write in seconds since 1970; undefined if there is no such object. */
  info(name: string): { size: number; written: number } | undefined;

  /** Whether there is an object of this name. */
  exists(name: string): boolean;

  /** Deletes an object, if it exists. */
  delete(name: string): void;

  /** The names of all objects, in no order. */
  names(): string[];

  /** Copies an object to a name in a container, which may be this one. */
  copy(name: string, target: Container, to: string): void;
}
