import type { Content, Delivery, RawDelivery } from './hive.js';

/** The fields of a delivery besides its message. */
export type About = Partial<Omit<RawDelivery, 'message'>>;

/** A delivery of this message at its first attempt, as a handler gets it. */
export function delivery(content?: Content, about?: About): Delivery;

/** The same, in the form that the host hands to the export made by `consumer`. */
export function rawDelivery(content?: Content, about?: About): RawDelivery;
