// One dead letter: its story, what is in it, and an editor.
import { useEffect, useRef, useState } from "preact/hooks";
import { command, path, read, type Query, type Session, type Whole } from "../api";
import { Act, Code, Dialog, Empty, Failure, useLoaded } from "../parts/basics";
import { Body } from "../parts/body";
import { bytes, moment } from "../words";
import type { Taking } from "./take";

/** What is shown elsewhere than in the list of properties. */
const ELSEWHERE = new Set(["dead", "headers", "identity", "bytes", "body", "cut", "front", "attempt", "queue", "exchange", "routing-key"]);

const RECORD = ["class", "broker-reason", "attempts", "consumer", "queue", "exchange", "routing-key", "group"];

function Facts({ facts }: { facts: [string, unknown][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="mono">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Editor(props: { name: string; message: Whole; query: Query; close: () => void; done: () => void }) {
  const { message } = props;
  const body = message.cut === true ? undefined : message.body?.text;
  const [front, setFront] = useState(JSON.stringify(message.front ?? {}, null, 2));
  const [text, setText] = useState(body ?? "");
  const [to, setTo] = useState("");
  const [sent, setSent] = useState<{ to: string; "message-id": string } | null>(null);
  const send = async () => {
    let properties: unknown;
    try {
      properties = JSON.parse(front);
    } catch (error) {
      throw new Error(`the properties are not JSON: ${String(error)}`);
    }
    const query: Query = to === "" ? props.query : [...props.query, ["to", to]];
    const revision = body === undefined ? { front: properties } : { front: properties, body: text };
    setSent(await command(path("dead", props.name, "edit"), query, revision));
  };
  if (sent !== null) {
    return (
      <Dialog title="Sent" close={props.done}>
        <p class="notice good" role="status">
          Edited and sent to {sent.to}, as <span class="mono">{sent["message-id"]}</span>.
        </p>
        <div class="buttons">
          <button type="button" class="plain" onClick={props.done}>Close</button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Edit and republish" close={props.close} wide>
      <label>
        Properties and headers
        <textarea class="mono" rows={9} spellcheck={false} value={front} onInput={(event) => setFront(event.currentTarget.value)} />
      </label>
      {body === undefined ? (
        <p class="quiet">
          The body stays as it is: {message.cut === true ? "it is shown cut" : "it is not text"}. <code>hive-host dead edit --body</code> takes another
          one.
        </p>
      ) : (
        <label>
          Body
          <textarea class="mono" rows={12} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
      )}
      <label>
        To another queue
        <input class="mono" autocomplete="off" placeholder={String(message.dead.queue ?? "")} value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <p class="quiet">The dead letter is replaced by the edited message, which then goes to its queue. JSON has to stay JSON, and to match the consumer’s schema.</p>
      <div class="buttons">
        <button type="button" class="plain" onClick={props.close}>Cancel</button>
        <Act kind="main" act={send}>Send</Act>
      </div>
    </Dialog>
  );
}

export function Letter(props: {
  name: string;
  query: Query;
  session: Session;
  take: (taking: Taking) => void;
  close: () => void;
  done: () => void;
}) {
  const [edits, setEdits] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const { value, error } = useLoaded(
    () => read<{ messages: Whole[] }>(path("dead", props.name, "show"), props.query),
    [props.name, JSON.stringify(props.query)],
  );
  const message = value?.messages[0];
  useEffect(() => heading.current?.focus(), [message === undefined]);
  const back = <button type="button" class="plain" onClick={props.close}>Back to the list</button>;
  if (error !== null) return <><Failure error={error} />{back}</>;
  if (value === null) return <Empty>Looking…</Empty>;
  if (message === undefined) {
    return <><Empty>The message is not there any more, or in another place of the queue. Look again.</Empty>{back}</>;
  }
  const { dead } = message;
  const record = RECORD.filter((name) => dead[name] !== undefined).map((name): [string, unknown] => [name, dead[name]]);
  if (typeof dead.time === "number") record.unshift(["died", moment(dead.time)]);
  const properties = Object.entries(message).filter(([name]) => !ELSEWHERE.has(name));
  const headers = Object.entries(message.headers ?? {});
  return (
    <section class="letter" aria-labelledby="letter-title">
      <div class="head">
        <h2 id="letter-title" tabIndex={-1} ref={heading}>
          Message <span class="mono">{String(message["message-id"] ?? dead.number)}</span>
        </h2>
        {props.session.commands && (
          <>
            <button type="button" class="main" onClick={() => props.take({ verb: "republish", query: props.query, what: "as chosen" })}>
              Republish…
            </button>
            {props.session.bodies && <button type="button" class="plain" onClick={() => setEdits(true)}>Edit…</button>}
          </>
        )}
        {back}
      </div>
      <ol class="story">{dead.story?.map((sentence) => <li key={sentence}>{sentence}</li>)}</ol>
      {typeof dead.error === "string" && (
        <p class="error">
          <Code code={dead.code as string | undefined} /> {dead.error.split("\n")[0]}
        </p>
      )}
      {dead.stack !== undefined && <pre aria-label="Stack of the component" tabIndex={0}>{dead.stack.join("\n")}</pre>}
      <div class="columns">
        <div>
          <h3>Record</h3>
          <Facts facts={record} />
        </div>
        <div>
          <h3>Properties</h3>
          <Facts facts={properties} />
          <h3>Headers</h3>
          {headers.length > 0 ? <Facts facts={headers} /> : <p class="quiet">{props.session.bodies ? "None." : "Not shown on this host."}</p>}
        </div>
      </div>
      <h3>Body <span class="quiet">{bytes(message.bytes)}</span></h3>
      <Body message={message} />
      {edits && (
        <Editor name={props.name} message={message} query={props.query} close={() => setEdits(false)} done={props.done} />
      )}
    </section>
  );
}
