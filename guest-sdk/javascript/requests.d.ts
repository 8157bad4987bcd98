import type { Publication, Reply } from './hive.js';

/** Why a request has no reply; wit/consumer.wit says more of each. */
export type RequestFailure =
  | 'not-allowed'
  | 'refused'
  | 'unroutable'
  | 'timed-out'
  | 'disconnected'
  | 'too-large';

/** A request without a reply. */
export class RequestError extends Error {
  constructor(error: { failure: RequestFailure; text: string });
  readonly failure: RequestFailure;
}

/**
 * Publishes a message and waits for the reply to it: `request(toQueue('rpc.prices', { json }))`. The wait ends after
 * `timeoutMs`, and in any case with the time of the call. Throws a `RequestError`.
 */
export function request(publication: Publication, options?: { timeoutMs?: number | bigint }): Reply;
