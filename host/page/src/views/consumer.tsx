// One consumer: its pace, what it has in flight, what waits for a retry and what failed.
import { useState } from "preact/hooks";
import { path, read, type Deliveries, type Failure as Failed, type Series, type Session } from "../api";
import { useLive } from "../live";
import { Badge, Code, Empty, Failure, Figure, useTicks } from "../parts/basics";
import { Chart } from "../parts/charts";
import { ago, count, duration, many, millis, moment, rate, word } from "../words";
import { PauseButton } from "./overview";
import { boundsOf, ScaleButton } from "./scale";

/** Lines of a failure: the first one, and the rest on demand. */
function ErrorText({ text }: { text: string }) {
  const [first, ...rest] = text.split("\n");
  if (rest.length === 0) return <span class="error">{first}</span>;
  return (
    <details class="error">
      <summary>{first}</summary>
      <pre>{rest.join("\n")}</pre>
    </details>
  );
}

function InFlight({ deliveries }: { deliveries: Deliveries }) {
  const { in_flight, listed } = deliveries;
  if (in_flight === 0) return <Empty>Nothing is in flight.</Empty>;
  return (
    <>
      <table>
        <caption class="hidden">Deliveries in flight</caption>
        <thead>
          <tr>
            <th scope="col">Delivery</th>
            <th scope="col" class="number">Attempt</th>
            <th scope="col" class="number">Age</th>
          </tr>
        </thead>
        <tbody>
          {listed.map((one) => (
            <tr key={one.delivery}>
              <th scope="row" class="mono">{one.delivery}</th>
              <td class="number">{one.attempt}</td>
              <td class="number">{millis(one.age_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {in_flight > listed.length && <p class="quiet">{listed.length} of {in_flight} are listed.</p>}
    </>
  );
}

function Failures({ failures, waits }: { failures: Failed[]; waits: boolean }) {
  if (failures.length === 0) {
    return <Empty>{waits ? "No message that failed here waits for another attempt." : "Nothing failed since the host started."}</Empty>;
  }
  return (
    <table class="failures">
      <caption class="hidden">{waits ? "Messages that wait for a retry" : "Last failures"}</caption>
      <thead>
        <tr>
          <th scope="col">{waits ? "Due in" : "When"}</th>
          <th scope="col">Delivery</th>
          <th scope="col" class="number">Attempt</th>
          {!waits && <th scope="col">Then</th>}
          <th scope="col">Error</th>
        </tr>
      </thead>
      <tbody>
        {failures.map((one, index) => (
          <tr key={index}>
            <td title={moment(waits ? one.due : one.at)}>
              {waits && one.due !== undefined ? duration(Math.max(0, (Date.parse(one.due) - Date.now()) / 1000)) : ago(one.at)}
            </td>
            <td class="mono">{one.delivery}</td>
            <td class="number">{waits ? one.attempt + 1 : one.attempt}</td>
            {!waits && <td><Badge state={one.outcome} /></td>}
            <td>
              <Code code={one.code} /> {one.class}:{" "}
              <ErrorText text={one.error} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function ConsumerView({ name, session, theme }: { name: string; session: Session; theme: string }) {
  const { overview } = useLive();
  const [deliveries, setDeliveries] = useState<Deliveries | null>(null);
  const [series, setSeries] = useState<Series | null>(null);
  const [error, setError] = useState<unknown>(null);
  useTicks(1000, [name], () => {
    read<Deliveries>(path("consumers", name, "deliveries")).then((value) => {
      setDeliveries(value);
      setError(null);
    }, setError);
  });
  useTicks(5000, [name], () => {
    read<Series>(path("consumers", name, "series")).then(setSeries, setError);
  });
  const consumer = overview?.consumers.find((one) => one.consumer === name);
  const rates = overview?.rates[name];
  if (overview !== null && consumer === undefined) return <Empty>This host has no consumer {name}.</Empty>;
  const waiting = deliveries?.failures.filter((one) => one.due !== undefined && Date.parse(one.due) > Date.now()) ?? [];
  waiting.sort((one, other) => Date.parse(one.due ?? "") - Date.parse(other.due ?? ""));
  return (
    <>
      <div class="head">
        <h1>{name}</h1>
        {consumer !== undefined && (
          <>
            <Badge state={consumer.state} />
            <PauseButton consumer={consumer} session={session} />
            <ScaleButton consumer={consumer} session={session} />
            <a href={`#/topology/${encodeURIComponent(`consumer//${name}`)}`}>Topology</a>
          </>
        )}
      </div>
      {consumer?.reason !== undefined && (
        <p class={`notice ${consumer.state === "standby" ? "calm" : consumer.state === "paused" ? "warn" : "bad"}`}>
          {consumer.reason} <Code code={consumer.code} />
        </p>
      )}
      {consumer !== undefined && (
        <dl class="figures">
          <Figure name="Handled a second" note={`${rate(rates?.minute_1?.handled)} over 1 min, ${rate(rates?.minutes_5?.handled)} over 5`}>
            {rate(rates?.seconds_5?.handled)}
          </Figure>
          <Figure name="p50 / p95" note="over the last minute">
            {millis(rates?.minute_1?.p50_ms)} / {millis(rates?.minute_1?.p95_ms)}
          </Figure>
          <Figure
            name="Workers"
            note={[consumer.workers_wanted !== consumer.workers ? `${consumer.workers_wanted} wanted` : undefined, boundsOf(consumer)]
              .filter((text) => text !== undefined).join(", ") || undefined}
          >
            {count(consumer.workers)}
          </Figure>
          <Figure name="In flight">{count(consumer.in_flight)}</Figure>
          <Figure name="Component">
            <a href="#/components">{consumer.component}</a>
          </Figure>
          <Figure name="Connection">{consumer.connection}</Figure>
        </dl>
      )}
      {consumer !== undefined && (
        <table class="queues">
          <caption class="hidden">Queues</caption>
          <thead>
            <tr>
              <th scope="col">Queue</th>
              <th scope="col">For</th>
              <th scope="col" class="number">Messages</th>
            </tr>
          </thead>
          <tbody>
            {consumer.queues.map((queue) => (
              <tr key={queue.queue}>
                <th scope="row" class="mono">{queue.queue}</th>
                <td>{word(queue.purpose === "delay" ? "retries" : queue.purpose)}</td>
                <td class="number" title={queue.reason}>
                  {queue.purpose === "dead_letter" ? (
                    <a href={`#/dead/${encodeURIComponent(name)}`}>{count(queue.messages)}</a>
                  ) : (
                    count(queue.messages)
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {error !== null && <Failure error={error} />}
      {series !== null && (
        <div class="charts">
          <Chart title="Throughput" unit="deliveries a second" period={series.period_seconds} theme={theme} lines={[
            { name: "acknowledged", colour: "--good", values: series.acked },
            { name: "retried", colour: "--warn", values: series.retried, dashed: true },
            { name: "dead-lettered", colour: "--bad", values: series.dead_lettered },
          ]} />
          <Chart title="Time in the component" unit="ms" period={series.period_seconds} theme={theme} lines={[
            { name: "p50", colour: "--accent", values: series.p50_ms },
            { name: "p95", colour: "--quiet", values: series.p95_ms, dashed: true },
          ]} />
          <Chart title="In flight and waiting" unit="deliveries" period={series.period_seconds} theme={theme} lines={[
            { name: "in flight", colour: "--accent", values: series.in_flight },
            { name: "waiting", colour: "--quiet", values: series.waiting, dashed: true },
          ]} />
        </div>
      )}
      {deliveries !== null && (
        <>
          <h2>In flight</h2>
          <InFlight deliveries={deliveries} />
          <h2>Waiting for a retry</h2>
          <Failures failures={waiting} waits={true} />
          <h2>Last failures</h2>
          <Failures failures={deliveries.failures} waits={false} />
          <p class="quiet">
            {many(deliveries.failures.length, "failure")} of this host, at most 50, since it started. Every message that is dead is
            under <a href={`#/dead/${encodeURIComponent(name)}`}>dead letters</a>.
          </p>
        </>
      )}
    </>
  );
}
