// Objects in buckets and directories, `allow.blobstore` in hive.toml. The component's world must import
// `wasi:blobstore/blobstore`, as hive:guest/storing-consumer does; the types are in objects.d.ts.

import { copyObject, getContainer } from 'wasi:blobstore/blobstore@0.2.0-draft';
import { IncomingValue, OutgoingValue } from 'wasi:blobstore/types@0.2.0-draft';

const END = 2n ** 64n - 1n;

/** The objects under one name of `allow.blobstore`. */
export class Container {
  #name;
  #container;

  /** The container of this name. */
  static open(name) {
    const container = new Container();
    container.#name = name;
    container.#container = done(() => getContainer(name));
    return container;
  }

  /** Writes an object, and replaces one of the same name. It appears whole or not at all. */
  put(name, content) {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const value = OutgoingValue.newOutgoingValue();
    done(() => this.#container.writeData(name, value));
    const body = done(() => value.outgoingValueWriteBody());
    write(body, bytes);
    // The value must not be finished before its stream is gone.
    body[Symbol.dispose]();
    done(() => OutgoingValue.finish(value));
  }

  /** The content of an object of up to 16 MiB; undefined if there is no such object. */
  get(name) {
    return this.#ifThere(name, () =>
      IncomingValue.incomingValueConsumeSync(this.#container.getData(name, 0n, END)));
  }

  /** Size in bytes, and time of the last write in seconds since 1970; undefined if there is no such object. */
  info(name) {
    return this.#ifThere(name, () => {
      const { size, createdAt } = this.#container.objectInfo(name);
      return { size: Number(size), written: Number(createdAt) };
    });
  }

  /** Whether there is an object of this name. */
  exists(name) {
    return done(() => this.#container.hasObject(name));
  }

  /** Deletes an object, if it exists. */
  delete(name) {
    done(() => this.#container.deleteObject(name));
  }

  /** The names of all objects, in no order. */
  names() {
    const listing = done(() => this.#container.listObjects());
    const all = [];
    for (;;) {
      const [names, isEnd] = done(() => listing.readStreamObjectNames(1000n));
      all.push(...names);
      if (isEnd) return all;
    }
  }

  /** Copies an object to a name in a container, which may be this one. */
  copy(name, target, to) {
    done(() => copyObject({ container: this.#name, object: name }, { container: target.#name, object: to }));
  }

  #ifThere(name, work) {
    try {
      return work();
    } catch (error) {
      if (!this.exists(name)) return undefined;
      throw told(error);
    }
  }
}

function write(body, bytes) {
  let at = 0;
  while (at < bytes.length) {
    const room = Number(done(() => body.checkWrite()));
    if (room === 0) {
      body.subscribe().block();
      continue;
    }
    const some = bytes.subarray(at, at + room);
    done(() => body.write(some));
    at += some.length;
  }
}

function done(work) {
  try {
    return work();
  } catch (error) {
    throw told(error);
  }
}

// What a host function returns as its error is thrown with that as `payload`.
function told(error) {
  const payload = error?.payload;
  if (payload === undefined) return error;
  if (payload?.tag === 'last-operation-failed') return new Error(payload.val.toDebugString());
  return new Error(typeof payload === 'string' ? payload : JSON.stringify(payload));
}
