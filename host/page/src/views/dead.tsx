// Dead letters: groups of those that ended alike, their messages, and what can be done about them.
import { useState } from "preact/hooks";
import { ApiError, path, read, type Group, type Listing, type Query, type Session } from "../api";
import { refresh, useLive } from "../live";
import { Empty, Failure, useLoaded } from "../parts/basics";
import { Conditions } from "../parts/conditions";
import { bytes, count, many, moment } from "../words";
import { Letter } from "./letter";
import { Take, type Taking } from "./take";

interface Groups {
  queue: string;
  there: number;
  matched: number;
  groups: Group[];
  others: number;
}

/** Every consumer with dead letters, and a way to any other queue. */
function Choose() {
  const { overview } = useLive();
  const [queue, setQueue] = useState("");
  const dead = (overview?.consumers ?? []).map((consumer) => {
    const queues = consumer.queues.filter((one) => one.purpose === "dead_letter");
    const messages = queues.reduce((sum, one) => sum + (one.messages ?? 0), 0);
    return { name: consumer.consumer, queue: queues[0]?.queue ?? "", messages };
  });
  dead.sort((one, other) => other.messages - one.messages);
  const some = dead.filter((one) => one.messages > 0);
  return (
    <>
      <div class="head">
        <h1>Dead letters</h1>
        <form
          class="tools"
          onSubmit={(event) => {
            event.preventDefault();
            if (queue !== "") location.hash = `#/dead/${encodeURIComponent(queue)}`;
          }}
        >
          <input
            list="consumers"
            placeholder="Consumer or queue"
            aria-label="Consumer or queue"
            value={queue}
            onInput={(event) => setQueue(event.currentTarget.value)}
          />
          <datalist id="consumers">
            {dead.map((one) => <option key={one.name} value={one.name} />)}
          </datalist>
          <button class="plain">Look</button>
        </form>
      </div>
      {overview === null && <Empty>Waiting for the host…</Empty>}
      {overview !== null && some.length === 0 && <Empty>No consumer of this host has dead letters.</Empty>}
      {some.length > 0 && (
        <table>
          <caption class="hidden">Consumers with dead letters</caption>
          <thead>
            <tr>
              <th scope="col">Consumer</th>
              <th scope="col">Queue</th>
              <th scope="col" class="number">Messages</th>
            </tr>
          </thead>
          <tbody>
            {some.map((one) => (
              <tr key={one.name}>
                <th scope="row"><a href={`#/dead/${encodeURIComponent(one.name)}`}>{one.name}</a></th>
                <td class="mono">{one.queue}</td>
                <td class="number">{count(one.messages)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function GroupRows(props: {
  groups: Groups;
  session: Session;
  chosen: string | null;
  choose: (key: string | null) => void;
  take: (taking: Taking) => void;
  query: Query;
}) {
  return (
    <table class="cards">
      <caption class="hidden">Groups</caption>
      <thead>
        <tr>
          <th scope="col" class="number">Count</th>
          <th scope="col">Reason</th>
          <th scope="col">Error</th>
          <th scope="col">First and last</th>
          <th scope="col"><span class="hidden">Commands</span></th>
        </tr>
      </thead>
      <tbody>
        {props.groups.groups.map((group) => {
          const query: Query = [...props.query, ["group", group.group]];
          const isChosen = props.chosen === group.group;
          return (
            <tr key={group.group} class={isChosen ? "chosen" : ""}>
              <th scope="row" class="number">{count(group.count)}</th>
              <td data-name="Reason">{group.reason ?? "–"}</td>
              <td data-name="Error" class="error">
                {group.error}
                {group["top-frame"] !== null && <small class="mono">{group["top-frame"]}</small>}
              </td>
              <td data-name="First and last">
                {moment(group.first)}
                {group.last !== group.first && <small>{moment(group.last)}</small>}
              </td>
              <td class="acts">
                <button
                  type="button"
                  class="plain"
                  aria-pressed={isChosen}
                  aria-label={`Messages of ${group.error}`}
                  onClick={() => props.choose(isChosen ? null : group.group)}
                >
                  Messages
                </button>
                {props.session.commands && (
                  <button
                    type="button"
                    class="plain"
                    aria-label={`Republish ${group.error}`}
                    onClick={() => props.take({ verb: "republish", query, what: "of this group" })}
                  >
                    Republish…
                  </button>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Messages(props: { name: string; query: Query; turn: number; open: (query: Query) => void }) {
  const url = path("dead", props.name, "messages");
  const { value, error } = useLoaded(() => read<Listing>(url, props.query), [url, JSON.stringify(props.query), props.turn]);
  if (error !== null) return <Failure error={error} />;
  if (value === null) return <Empty>Looking…</Empty>;
  if (value.messages.length === 0) return <Empty>No message matches.</Empty>;
  return (
    <>
      <table class="cards">
        <caption class="hidden">Messages</caption>
        <thead>
          <tr>
            <th scope="col">Message</th>
            <th scope="col">Died</th>
            <th scope="col" class="number">Attempts</th>
            <th scope="col">Queue</th>
            <th scope="col" class="number">Size</th>
            <th scope="col">Error</th>
          </tr>
        </thead>
        <tbody>
          {value.messages.map((letter) => (
            <tr key={letter.number}>
              <th scope="row">
                <button
                  type="button"
                  class="link mono"
                  onClick={() => props.open([["where", `number=${letter.number}`], ["where", `identity=${letter.identity}`]])}
                >
                  {letter["message-id"] ?? `number ${letter.number}`}
                </button>
              </th>
              <td data-name="Died">{moment(letter.time ?? letter.due)}</td>
              <td data-name="Attempts" class="number">{letter.attempts ?? letter.attempt ?? "–"}</td>
              <td data-name="Queue" class="mono">{letter.queue ?? "–"}</td>
              <td data-name="Size" class="number">{bytes(letter.bytes)}</td>
              <td data-name="Error" class="error">{(letter.error ?? letter["broker-reason"] ?? "").split("\n")[0]}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {value.matched > value.messages.length || value.seen < value.there ? (
        <p class="quiet">the first {value.messages.length}; a condition finds others</p>
      ) : null}
    </>
  );
}

function Queue({ name, session }: { name: string; session: Session }) {
  const [conditions, setConditions] = useState<string[]>([]);
  const [counted, setCounted] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);
  const [opened, setOpened] = useState<Query | null>(null);
  const [taking, setTaking] = useState<Taking | null>(null);
  const query: Query = [
    ...conditions.map((condition): [string, string] => ["where", condition]),
    ...(counted ? [["counted", "true"] as [string, string]] : []),
  ];
  const url = path("dead", name, "groups");
  const [turn, setTurn] = useState(0);
  const { value, error } = useLoaded(() => read<Groups>(url, query), [url, JSON.stringify(query), turn]);
  const look = () => {
    setOpened(null);
    setTurn((turn) => turn + 1);
    void refresh();
  };
  const withCounted = (more: Query): Query => (counted ? [...more, ["counted", "true"]] : more);
  return (
    <>
      <div class="head">
        <h1>Dead letters of {name}</h1>
        {value !== null && (
          <p class="quiet" role="status">
            {value.matched === value.there ? many(value.there, "message") : `${count(value.matched)} of ${many(value.there, "message")}`} in{" "}
            <span class="mono">{value.queue}</span>
          </p>
        )}
        <button type="button" class="plain" onClick={look}>Look again</button>
        {session.commands && value !== null && value.matched > 0 && (
          <>
            <button type="button" class="plain" onClick={() => setTaking({ verb: "republish", query, what: conditions.length > 0 ? "that match" : "of the queue" })}>
              Republish all…
            </button>
            <button type="button" class="danger" onClick={() => setTaking({ verb: "purge", query, what: conditions.length > 0 ? "that match" : "of the queue" })}>
              Purge…
            </button>
          </>
        )}
      </div>
      <Conditions
        example="reason=error, error~refused, newer=1h, header:tenant=7"
        list={conditions}
        set={(list) => {
          setConditions(list);
          setChosen(null);
          setOpened(null);
        }}
      />
      {error !== null && <Failure error={error} />}
      {error instanceof ApiError && error.counted && (
        <button type="button" class="danger" onClick={() => setCounted(true)}>Look all the same</button>
      )}
      {error === null && value === null && <Empty>Looking…</Empty>}
      {error === null && value !== null && value.there === 0 && <Empty>{value.queue} is empty.</Empty>}
      {error === null && value !== null && value.there > 0 && value.groups.length === 0 && <Empty>No message matches.</Empty>}
      {error === null && value !== null && value.groups.length > 0 && (
        <GroupRows
          groups={value}
          session={session}
          chosen={chosen}
          choose={(key) => {
            setChosen(key);
            setOpened(null);
          }}
          take={setTaking}
          query={query}
        />
      )}
      {value !== null && value.others > 0 && <p class="quiet">{many(value.others, "message")} are in further groups; a condition finds them.</p>}
      {error === null && value !== null && chosen !== null && opened === null && (
        <section aria-label="Messages of the group">
          <h2>Messages of the group</h2>
          <Messages name={name} query={[...query, ["group", chosen]]} turn={turn} open={(query) => setOpened(withCounted(query))} />
        </section>
      )}
      {opened !== null && (
        <Letter name={name} query={opened} session={session} take={setTaking} close={() => setOpened(null)} done={look} />
      )}
      {taking !== null && (
        <Take name={name} taking={taking} close={(changed) => {
          setTaking(null);
          if (changed) look();
        }} />
      )}
    </>
  );
}

export function Dead({ name, session }: { name: string; session: Session }) {
  return name === "" ? <Choose /> : <Queue name={name} session={session} />;
}
