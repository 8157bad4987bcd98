// Deliveries as they are settled: a sample, what became of each, and what its component printed.
import { useState } from "preact/hooks";
import type { Delivered, Query, Session } from "../api";
import { useLive } from "../live";
import { Badge, Code, Dialog, Empty, Failure } from "../parts/basics";
import { hex, pretty } from "../parts/body";
import { Conditions } from "../parts/conditions";
import { testFile } from "../testfile";
import { useWatched } from "../watch";
import { bytes, count, duration, millis, moment } from "../words";

const OUTCOMES = ["acked", "retried", "dead_lettered", "requeued", "duplicate", "skipped", "stopped", "lost"];

/** What became of it, in words. */
function became(one: Delivered): string {
  const more = (error: string | undefined) => (error === undefined || error === "" ? "" : `: ${error.split("\n")[0]}`);
  switch (one.outcome) {
    case "acked": {
      const targets = (one.published_to ?? []).map(({ exchange, routing_key }) => (exchange === "" ? routing_key : `${exchange}:${routing_key}`));
      return one.publications === 0 ? "ack" : `publish ${one.publications}${targets.length > 0 ? ` to ${targets.join(", ")}` : ""}`;
    }
    case "retried":
      return `retry in ${duration((one.delay_ms ?? 0) / 1000)}${one.kept === true ? ", its key waits" : ""}${more(one.error)}`;
    case "requeued":
      return `back in its queue${more(one.reason)}`;
    default:
      return `${one.class ?? one.outcome}${more(one.error)}`;
  }
}

/** A case for `hive-host test`, to be copied. */
function TestFile({ one, close }: { one: Delivered; close: () => void }) {
  const [copied, setCopied] = useState(false);
  const file = testFile(one) ?? "";
  const lines = file.split("\n").length;
  return (
    <Dialog title={`${one.delivery} as a test file`} close={close} wide>
      <label>
        Test file
        <textarea class="mono" readOnly rows={Math.min(lines, 20)} value={file} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <div class="buttons">
        {/* Without TLS a browser gives the clipboard to this machine alone. */}
        {navigator.clipboard !== undefined && (
          <button type="button" class="main" onClick={() => void navigator.clipboard.writeText(file).then(() => setCopied(true))}>
            {copied ? "Copied" : "Copy"}
          </button>
        )}
        <button type="button" class="plain" onClick={close}>Close</button>
      </div>
    </Dialog>
  );
}

function Details({ one, copy }: { one: Delivered; copy: () => void }) {
  const { message } = one;
  const body = message?.delivery["body"];
  const octets = message?.delivery["body-base64"];
  const headers = Object.entries((message?.delivery["headers"] ?? {}) as Record<string, unknown>);
  return (
    <>
      <dl class="facts">
        <div><dt>Settled</dt><dd>{moment(one.at)}</dd></div>
        <div><dt>Published to</dt><dd class="mono">{one.exchange === "" ? "(default exchange)" : one.exchange} {one.routing_key}</dd></div>
        <div><dt>Queue</dt><dd class="mono">{one.queue}</dd></div>
        <div><dt>In the host</dt><dd>{millis(one.took_ms)}{one.redelivered && ", redelivered"}{one.batch !== undefined && `, in a batch of ${one.batch}`}</dd></div>
        {one.component !== null && (
          <div><dt>Component</dt><dd>{one.component}{one.generation !== null && <> generation {one.generation} <span class="mono">{one.sha256?.slice(0, 12)}</span></>}</dd></div>
        )}
        {one.code !== undefined && <div><dt>Failure</dt><dd>{one.class} <Code code={one.code} /></dd></div>}
        {headers.map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd></div>
        ))}
      </dl>
      {one.error !== undefined && <pre tabIndex={0} aria-label="Error">{one.error}</pre>}
      {message !== undefined && message.bytes > 0 && (
        <pre class="body" tabIndex={0} aria-label="Body">{typeof body === "string" ? pretty(body) : hex(String(octets ?? ""))}</pre>
      )}
      {message?.cut === true && <p class="quiet">Cut: the body has {bytes(message.bytes)}. A message that is cut is no test file.</p>}
      {message !== undefined && !message.cut && (
        <button type="button" class="plain" onClick={copy}>As a test file…</button>
      )}
    </>
  );
}

function Row({ one, open, toggle, copy }: { one: Delivered; open: boolean; toggle: () => void; copy: () => void }) {
  return (
    <>
      <tr class={open ? "chosen" : ""}>
        <td data-name="At" class="mono">{one.at.slice(11, 23)}</td>
        <td data-name="Consumer"><a href={`#/consumers/${encodeURIComponent(one.consumer)}`}>{one.consumer}</a></td>
        <th scope="row">
          <button type="button" class="link mono" aria-expanded={open} onClick={toggle}>{one.delivery}</button>
          {one.attempt > 1 && <small>attempt {one.attempt}</small>}
        </th>
        <td data-name="Outcome"><Badge state={one.outcome} /></td>
        <td data-name="Action" class="error">
          {became(one)}
          {one.log.map((line, index) => <small key={index} class="mono line">{line.stream} | {line.line}</small>)}
          {one.log_left_out !== undefined && <small class="line">… {count(one.log_left_out)} lines left out</small>}
        </td>
        <td data-name="Call" class="number">{millis(one.call_ms)}</td>
      </tr>
      {open && <tr class="chosen"><td colSpan={6} class="whole"><Details one={one} copy={copy} /></td></tr>}
    </>
  );
}

export function LiveView({ consumer: first, session }: { consumer: string; session: Session }) {
  const { overview } = useLive();
  const [consumer, setConsumer] = useState(first);
  const [outcome, setOutcome] = useState("");
  const [conditions, setConditions] = useState<string[]>([]);
  const [on, setOn] = useState(true);
  const [opened, setOpened] = useState<number | null>(null);
  const [copying, setCopying] = useState<Delivered | null>(null);
  const names = (overview?.consumers ?? []).map((one) => one.consumer);
  const query: Query = [
    ...(consumer === "" ? [] : [["consumer", consumer] as [string, string]]),
    ...(outcome === "failed" ? [["failed", "true"] as [string, string]] : []),
    ...(outcome === "" || outcome === "failed" ? [] : [["where", `outcome=${outcome}`] as [string, string]]),
    ...conditions.map((condition): [string, string] => ["where", condition]),
    ...(session.bodies ? [["messages", "true"] as [string, string]] : []),
  ];
  const { deliveries, leftOut, state, error, clear } = useWatched(query, on);
  return (
    <>
      <div class="head">
        <h1>Live</h1>
        <p class="quiet" role="status">
          {state === "stopped" ? "stopped" : state === "watching" ? "watching this host" : "connecting…"}
          {leftOut > 0 && `; … ${count(leftOut)} deliveries left out`}
        </p>
        <button type="button" class="main" onClick={() => setOn(!on)}>{on ? "Stop" : "Watch"}</button>
        <button type="button" class="plain" onClick={clear}>Clear</button>
      </div>
      <Conditions list={conditions} set={setConditions} example="action=publish, error~refused, slower=100ms, header:tenant=7">
        <select aria-label="Consumer" value={consumer} onChange={(event) => setConsumer(event.currentTarget.value)}>
          <option value="">every consumer</option>
          {[...new Set([...(consumer === "" ? [] : [consumer]), ...names])].map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
        <select aria-label="Outcome" value={outcome} onChange={(event) => setOutcome(event.currentTarget.value)}>
          <option value="">every outcome</option>
          <option value="failed">failed</option>
          {OUTCOMES.map((name) => <option key={name} value={name}>{name.replaceAll("_", "-")}</option>)}
        </select>
      </Conditions>
      {error !== null && <Failure error={error} />}
      {deliveries.length === 0 && error === null && (
        <Empty>{on ? "No delivery was settled yet that is asked for. The next one is shown." : "Nothing is watched."}</Empty>
      )}
      {deliveries.length > 0 && (
        <table class="cards">
          <caption class="hidden">Deliveries</caption>
          <thead>
            <tr>
              <th scope="col">At (UTC)</th>
              <th scope="col">Consumer</th>
              <th scope="col">Delivery</th>
              <th scope="col">Outcome</th>
              <th scope="col">Action</th>
              <th scope="col" class="number">Call</th>
            </tr>
          </thead>
          <tbody>
            {deliveries.map((one) => (
              <Row
                key={one.key}
                one={one}
                open={opened === one.key}
                toggle={() => setOpened(opened === one.key ? null : one.key)}
                copy={() => setCopying(one)}
              />
            ))}
          </tbody>
        </table>
      )}
      {copying !== null && <TestFile one={copying} close={() => setCopying(null)} />}
    </>
  );
}
