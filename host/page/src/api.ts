// The admin server's API: requests, their errors, and the shapes of its answers (docs/admin-api.md).

/** A request that was not answered with what was asked for. */
export class ApiError extends Error {
  readonly status: number;
  /** For `hive-host explain`. */
  readonly code: string | undefined;
  /** The broker counts a look, and the request did not say that it may. */
  readonly counted: boolean;

  constructor(status: number, view: { error?: string; code?: string; counted?: boolean }) {
    super(view.error ?? `the host answered ${status}`);
    this.status = status;
    this.code = view.code;
    this.counted = view.counted === true;
  }
}

/** Names and values of a query; a name may come several times. */
export type Query = [name: string, value: string][];

/** A path below `/v1`, with names in it escaped. */
export function path(...parts: string[]): string {
  return "/v1/" + parts.map(encodeURIComponent).join("/");
}

async function request<T>(method: string, url: string, query: Query, init: RequestInit): Promise<T> {
  const search = new URLSearchParams(query).toString();
  let answer: Response;
  try {
    answer = await fetch(search === "" ? url : `${url}?${search}`, { method, ...init });
  } catch {
    throw new ApiError(0, { error: "the host does not answer" });
  }
  const text = await answer.text();
  let view: unknown;
  try {
    view = text === "" ? null : JSON.parse(text);
  } catch {
    view = { error: text };
  }
  if (!answer.ok) throw new ApiError(answer.status, (view ?? {}) as object);
  return view as T;
}

/** Reads. */
export function read<T>(url: string, query: Query = []): Promise<T> {
  return request<T>("GET", url, query, {});
}

/** Gives a command. The header is what no form of another site can send. */
export function command<T>(url: string, query: Query = [], body?: unknown): Promise<T> {
  const isCode = body instanceof Blob;
  return request<T>("POST", url, query, {
    headers: {
      "content-type": isCode ? "application/wasm" : "application/json",
      "hive-page": "1",
    },
    body: isCode ? body : body === undefined ? null : JSON.stringify(body),
  });
}

export interface Session {
  role: "admin" | "viewer" | "local" | null;
  commands: boolean;
  bodies: boolean;
  login: boolean;
  host: string;
  version: string;
}

export interface Rate {
  handled: number;
  acked: number;
  retried: number;
  dead_lettered: number;
  p50_ms: number | null;
  p95_ms: number | null;
}

export interface Rates {
  seconds_5: Rate | null;
  minute_1: Rate | null;
  minutes_5: Rate | null;
  trend: number[];
}

export interface Queue {
  queue: string;
  purpose: "consumed" | "delay" | "dead_letter" | "lost";
  messages: number | null;
  reason?: string;
}

export interface Bounds {
  min: number;
  max: number;
}

export type State = "consuming" | "standby" | "waiting" | "paused";

export interface Consumer {
  consumer: string;
  queue: string;
  component: string;
  connection: string;
  state: State;
  reason?: string;
  code?: string;
  by?: "hand" | "failures";
  since?: string;
  workers?: number;
  workers_wanted?: number;
  in_flight?: number;
  /** Of a consumer with `scale`. */
  scale?: Bounds & { by_hand: boolean; written: Bounds };
  deliveries?: Record<string, number>;
  kept?: { deliveries: number; reason: string; since: string };
  queues: Queue[];
}

export interface Link {
  connection: string;
  role: string;
  state: "connecting" | "open" | "blocked" | "closed";
  reason?: string;
  code?: string;
}

export interface Version {
  generation: number;
  sha256: string;
  since: string;
}

export interface Canary extends Version {
  percent: number;
  wanted: number;
  deliveries: number;
  failed: number;
  current_deliveries: number;
  current_failed: number;
}

/** What came of the copies of a shadow. */
export interface Report {
  generation: number;
  wanted: number;
  done: boolean;
  all_same: boolean;
  compared: number;
  same: number;
  different: number;
  not_comparable: number;
  left_out: number;
  failed: number;
  current_failed: number;
  median_ms: number | null;
  current_median_ms: number | null;
  reasons: { reason: string; deliveries: number }[];
  /** The answers and the words are not there where `host.admin_bodies` hides what messages contain. */
  differences: { consumer: string; delivery: string; current?: string; shadow?: string; places: { place: string; words?: string }[] }[];
}

export interface Component extends Version {
  component: string;
  canary?: Canary;
  shadow?: Report & Version;
  last_shadow?: Report & { sha256: string; end: "promoted" | "dropped" | "replaced" };
  last_canary?: {
    generation: number;
    promoted: boolean;
    by_hand: boolean;
    deliveries: number;
    failed: number;
    current_deliveries: number;
    current_failed: number;
  };
  before?: Version;
  imports: { import: string; granted: string }[];
  publishes: string;
}

export interface Schedule {
  schedule: string;
  state: string;
  next: string | null;
  last: string | null;
  reason?: string;
}

export interface Overview {
  at: string;
  ready: boolean;
  host: { name: string; version: string; process: number; since: string; uptime_seconds: number };
  connections: Link[];
  consumers: Consumer[];
  schedules: Schedule[];
  shared_queues: (Queue & { connection: string })[];
  components: Component[];
  rates: Record<string, Rates>;
  counts: Record<string, { instances: number; traps: number; denied: Record<string, number> }>;
}

export interface Deliveries {
  in_flight: number;
  listed: { delivery: string; attempt: number; age_ms: number }[];
  failures: Failure[];
}

/** A delivery that was settled, of `/v1/deliveries`. */
export interface Delivered {
  at: string;
  consumer: string;
  queue: string;
  delivery: string;
  message_id: string | null;
  exchange: string;
  routing_key: string;
  attempt: number;
  redelivered: boolean;
  component: string | null;
  generation: number | null;
  sha256: string | null;
  outcome: string;
  action: "ack" | "publish" | "retry" | "reject" | "failed" | null;
  publications: number;
  published_to?: { exchange: string; routing_key: string }[];
  class?: string;
  code?: string;
  error?: string;
  reason?: string;
  delay_ms?: number;
  kept?: boolean;
  call_ms: number | null;
  batch?: number;
  took_ms: number;
  log: { stream: string; line: string }[];
  log_left_out?: number;
  message?: { delivery: Record<string, unknown>; bytes: number; cut: boolean };
}

export interface Failure {
  at: string;
  delivery: string;
  attempt: number;
  outcome: string;
  class: string;
  code: string;
  error: string;
  due?: string;
  took_ms: number;
}

export interface Series {
  period_seconds: number;
  acked: number[];
  retried: number[];
  dead_lettered: number[];
  p50_ms: (number | null)[];
  p95_ms: (number | null)[];
  in_flight: number[];
  waiting: (number | null)[];
}

export interface Group {
  group: string;
  count: number;
  reason: string | null;
  error: string;
  "top-frame": string | null;
  first: number | null;
  last: number | null;
  number: number;
}

export interface Letter {
  number: number;
  identity: string;
  group?: string;
  class?: string;
  "broker-reason"?: string;
  error?: string;
  attempts?: number;
  attempt?: number;
  of?: number;
  due?: number;
  time?: number;
  queue?: string;
  "message-id"?: string;
  bytes: number;
}

export interface Listing {
  queue: string;
  there: number;
  seen: number;
  matched: number;
  messages: Letter[];
}

export interface Whole {
  identity: string;
  bytes: number;
  cut?: boolean;
  body?: { text?: string; base64?: string };
  front?: Record<string, unknown>;
  headers?: Record<string, unknown>;
  dead: Record<string, unknown> & { story?: string[]; stack?: string[]; queue?: string };
  [property: string]: unknown;
}

/** The way of messages, of `/v1/topology`. */
export interface Topology {
  nodes: {
    id: string;
    kind: string;
    name: string;
    connection?: string;
    declared: boolean;
    detail?: string;
    state?: string;
    messages?: number;
    queues?: string[];
    problems?: { reason: string; code?: string }[];
  }[];
  edges: { from: string; to: string; way: string; label?: string; consumer?: string; rate?: number }[];
}

export interface AuditEntry {
  at: string;
  by: string;
  from?: string;
  command: string;
  subject?: string;
  arguments?: Record<string, string>;
  result: string;
}

export interface Hosts {
  group: string;
  reason?: string;
  hosts: {
    host: string;
    version: string;
    this: boolean;
    answered: boolean;
    uptime_seconds?: number;
    consumers?: { consumer: string; queue: string; placement: string; state: string; idle_ms: number | null }[];
  }[];
  queues: {
    connection: string;
    queue: string;
    home: string;
    active: string | null;
    hosts: { host: string; state: string }[];
    note?: string;
  }[];
}
