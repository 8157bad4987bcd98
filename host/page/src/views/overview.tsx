// Every consumer with its state and its pace, and what is not consuming and why.
import { useState } from "preact/hooks";
import { command, path, type Consumer, type Overview as Whole, type Session } from "../api";
import { refresh, useLive } from "../live";
import { Act, Badge, Code, Empty } from "../parts/basics";
import { Sparkline } from "../parts/charts";
import { ago, count, many, millis, moment, rate } from "../words";

const ON_A_PAGE = 50;

const URGENCY: Record<string, number> = { waiting: 0, paused: 1, standby: 2, consuming: 3 };

/** The messages in the queues of a consumer that are for this; null where that is unknown. */
function depth(consumer: Consumer, purpose: string): number | null {
  const queues = consumer.queues.filter((queue) => queue.purpose === purpose);
  if (queues.length === 0) return purpose === "delay" ? 0 : null;
  return queues.reduce<number | null>((sum, { messages }) => (sum === null || messages === null ? null : sum + messages), 0);
}

/** What an operator has to know before anything else. */
export function Trouble({ overview }: { overview: Whole }) {
  const links = overview.connections.filter((link) => link.state !== "open");
  const consumers = overview.consumers.filter((one) => one.state === "waiting");
  const paused = overview.consumers.filter((one) => one.state === "paused" && one.by === "failures");
  const keeping = overview.consumers.filter((one) => one.kept !== undefined);
  const schedules = overview.schedules.filter((one) => one.state === "failing" || one.state === "waiting");
  if (links.length + consumers.length + paused.length + keeping.length + schedules.length === 0) return null;
  const isDown = consumers.length + paused.length > 0;
  return (
    <section class={`notice ${isDown ? "bad" : "warn"}`} role="alert">
      {isDown && (
        <h2>
          {consumers.length + paused.length} of {many(overview.consumers.length, "consumer")} not consuming
        </h2>
      )}
      <ul>
        {links.map((link) => (
          <li key={`${link.connection} ${link.role}`}>
            connection <strong>{link.connection}</strong> ({link.role}) is {link.state}
            {link.reason !== undefined && <>: {link.reason}</>} <Code code={link.code} />
          </li>
        ))}
        {[...consumers, ...paused].slice(0, 10).map((one) => (
          <li key={one.consumer}>
            <a href={`#/consumers/${encodeURIComponent(one.consumer)}`}>{one.consumer}</a>: {one.reason} <Code code={one.code} />
          </li>
        ))}
        {consumers.length + paused.length > 10 && <li>and {consumers.length + paused.length - 10} more</li>}
        {keeping.map((one) => (
          <li key={one.consumer}>
            {one.consumer} keeps {many(one.kept?.deliveries ?? 0, "delivery").replace("deliverys", "deliveries")}: {one.kept?.reason}
          </li>
        ))}
        {schedules.map((one) => (
          <li key={one.schedule}>
            schedule {one.schedule} is {one.state}: {one.reason}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Pauses what runs, and resumes what is paused. */
export function PauseButton({ consumer, session }: { consumer: Consumer; session: Session }) {
  if (!session.commands) return null;
  const verb = consumer.state === "paused" ? "resume" : "pause";
  const act = async () => {
    await command(path("consumers", consumer.consumer, verb));
    await refresh();
  };
  return (
    <Act act={act} label={`${verb} ${consumer.consumer}`}>
      {verb === "pause" ? "Pause" : "Resume"}
    </Act>
  );
}

function Row({ consumer, overview, session }: { consumer: Consumer; overview: Whole; session: Session }) {
  const rates = overview.rates[consumer.consumer];
  const dead = depth(consumer, "dead_letter");
  const name = encodeURIComponent(consumer.consumer);
  const trend = rates?.trend ?? [];
  return (
    <tr>
      <th scope="row">
        <a href={`#/consumers/${name}`}>{consumer.consumer}</a>
        {consumer.queue !== consumer.consumer && <small>{consumer.queue}</small>}
      </th>
      <td data-name="State">
        <Badge state={consumer.state} />
        {consumer.state === "paused" && consumer.by === "hand" && consumer.since !== undefined && (
          <small title={moment(consumer.since)}>by hand, {ago(consumer.since)}</small>
        )}
      </td>
      <td data-name="Handled a second" class="number">
        {rate(rates?.seconds_5?.handled)}
        <small>
          {rate(rates?.minute_1?.handled)} · {rate(rates?.minutes_5?.handled)}
        </small>
      </td>
      <td class="trend">
        <Sparkline values={trend} label={`handled a second over five minutes, now ${rate(trend.at(-1))}`} />
      </td>
      <td data-name="p50 / p95" class="number">
        {millis(rates?.minute_1?.p50_ms)}
        <small>{millis(rates?.minute_1?.p95_ms)}</small>
      </td>
      <td data-name="Waiting" class="number">{count(depth(consumer, "consumed"))}</td>
      <td data-name="In flight" class="number">{count(consumer.in_flight)}</td>
      <td data-name="Retries" class="number">{count(depth(consumer, "delay"))}</td>
      <td data-name="Dead" class="number">
        {dead !== null && dead > 0 ? (
          <a class="deaths" href={`#/dead/${name}`} aria-label={`${dead} dead letters of ${consumer.consumer}`}>
            {count(dead)}
          </a>
        ) : (
          count(dead)
        )}
      </td>
      <td class="acts">
        <PauseButton consumer={consumer} session={session} />
      </td>
    </tr>
  );
}

export function Overview({ session }: { session: Session }) {
  const { overview } = useLive();
  const [search, setSearch] = useState("");
  const [page, setPage] = useState(0);
  if (overview === null) return <Empty>Waiting for the host…</Empty>;
  const words = search.toLowerCase();
  const found = overview.consumers.filter((one) =>
    [one.consumer, one.queue, one.component, one.state].some((text) => text.toLowerCase().includes(words)),
  );
  found.sort((one, other) => (URGENCY[one.state] ?? 0) - (URGENCY[other.state] ?? 0));
  const pages = Math.max(1, Math.ceil(found.length / ON_A_PAGE));
  const at = Math.min(page, pages - 1);
  const shared = overview.shared_queues.filter((queue) => (queue.messages ?? 0) > 0);
  const consuming = overview.consumers.filter((one) => one.state === "consuming").length;
  return (
    <>
      <div class="head">
        <h1>Overview</h1>
        <p class="quiet" role="status">
          {consuming} of {many(overview.consumers.length, "consumer")} consuming
        </p>
        <ul class="links" aria-label="Connections">
          {overview.connections.map((link) => (
            <li key={`${link.connection} ${link.role}`} title={link.reason}>
              {link.connection} {link.role} <Badge state={link.state} />
            </li>
          ))}
        </ul>
      </div>
      <Trouble overview={overview} />
      {overview.consumers.length > 8 && (
        <div class="tools">
          <input
            type="search"
            placeholder="Name, queue, component or state"
            aria-label="Search consumers"
            value={search}
            onInput={(event) => {
              setSearch(event.currentTarget.value);
              setPage(0);
            }}
          />
          {pages > 1 && (
            <span class="pages">
              <button type="button" class="plain" disabled={at === 0} onClick={() => setPage(at - 1)}>
                Previous
              </button>
              {at + 1} of {pages}
              <button type="button" class="plain" disabled={at + 1 === pages} onClick={() => setPage(at + 1)}>
                Next
              </button>
            </span>
          )}
        </div>
      )}
      <table class="cards">
        <caption class="hidden">Consumers</caption>
        <thead>
          <tr>
            <th scope="col">Consumer</th>
            <th scope="col">State</th>
            <th scope="col" class="number" title="over 5 seconds; below, over 1 and 5 minutes">Handled/s</th>
            <th scope="col">5 min</th>
            <th scope="col" class="number" title="over the last minute">p50 / p95</th>
            <th scope="col" class="number">Waiting</th>
            <th scope="col" class="number">In flight</th>
            <th scope="col" class="number">Retries</th>
            <th scope="col" class="number">Dead</th>
            <th scope="col"><span class="hidden">Commands</span></th>
          </tr>
        </thead>
        <tbody>
          {found.slice(at * ON_A_PAGE, (at + 1) * ON_A_PAGE).map((consumer) => (
            <Row key={consumer.consumer} consumer={consumer} overview={overview} session={session} />
          ))}
        </tbody>
      </table>
      {found.length === 0 && <Empty>{search === "" ? "This host has no consumers." : "No consumer matches."}</Empty>}
      {shared.length > 0 && (
        <p class="quiet">
          In queues that consumers share:{" "}
          {shared.map(({ queue, messages }) => `${count(messages)} in ${queue}`).join(", ")}.
        </p>
      )}
    </>
  );
}
