import type { Content, Delivery, RawDelivery } from './hive.js';

/** What is told of a delivery beside its message. */
export type About = Partial<Omit<RawDelivery, 'message'>>;

/** A delivery of such a message at its first attempt, as a handler gets it. */
export function delivery(content?: Content, about?: About): Delivery;

/** The same as the host hands it over: for what `consumer` made. */
export function rawDelivery(content?: Content, about?: About): RawDelivery;
