// Messages that are taken out of a queue: counted first, and then exactly as many, or none.
import { useState } from "preact/hooks";
import { command, path, read, type Listing, type Query } from "../api";
import { Act, Dialog, Failure, useLoaded } from "../parts/basics";
import { many } from "../words";

export interface Taking {
  verb: "republish" | "purge";
  query: Query;
  /** Which messages, in words. */
  what: string;
}

interface Taken {
  republished?: number;
  purged?: number;
  to?: Record<string, number>;
  left?: { number: number; reason: string }[];
  doubtful?: number;
  broken?: string | null;
}

export function Take({ name, taking, close }: { name: string; taking: Taking; close: (changed: boolean) => void }) {
  const [typed, setTyped] = useState("");
  const [to, setTo] = useState("");
  const [taken, setTaken] = useState<Taken | null>(null);
  const { value, error } = useLoaded(() => read<Listing>(path("dead", name, "count"), taking.query), []);
  const verb = taking.verb === "republish" ? "Republish" : "Purge";
  const take = async () => {
    if (value === null) return;
    const query: Query = [...taking.query, ["expect", String(value.matched)]];
    if (taking.verb === "purge") query.push(["name", typed]);
    else if (to !== "") query.push(["to", to]);
    setTaken(await command<Taken>(path("dead", name, taking.verb), query));
  };
  return (
    <Dialog title={`${verb} messages ${taking.what}`} close={() => close(taken !== null)}>
      {error !== null && <Failure error={error} />}
      {error === null && value === null && <p role="status">Counting…</p>}
      {value !== null && taken === null && (
        <>
          <p role="status">
            <strong>{many(value.matched, "message")}</strong> of {value.there} in <span class="mono">{value.queue}</span>.{" "}
            {taking.verb === "republish"
              ? "Each goes back to the queue in which it failed, and starts at its first attempt."
              : "They are deleted for good."}
          </p>
          {taking.verb === "purge" ? (
            <label>
              Type the name of the queue
              <input class="mono" autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
            </label>
          ) : (
            <label>
              To another queue
              <input class="mono" autocomplete="off" spellcheck={false} placeholder="the one in which each failed" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
            </label>
          )}
          <p class="quiet">If the number has changed meanwhile, nothing is done.</p>
        </>
      )}
      {taken !== null && <Result taken={taken} />}
      <div class="buttons">
        <button type="button" class="plain" onClick={() => close(taken !== null)}>
          {taken === null ? "Cancel" : "Close"}
        </button>
        {value !== null && taken === null && (
          <Act
            kind={taking.verb === "purge" ? "danger" : "main"}
            act={take}
            disabled={value.matched === 0 || (taking.verb === "purge" && typed !== value.queue)}
          >
            {verb} {many(value.matched, "message")}
          </Act>
        )}
      </div>
    </Dialog>
  );
}

function Result({ taken }: { taken: Taken }) {
  const { left = [], doubtful = 0, broken } = taken;
  const to = Object.entries(taken.to ?? {}).map(([queue, count]) => `${count} to ${queue}`);
  const done = taken.purged !== undefined ? `${many(taken.purged, "message")} deleted` : `${many(taken.republished ?? 0, "message")} republished`;
  return (
    <>
      <p class="notice good" role="status">
        {done}{to.length > 0 && `: ${to.join(", ")}`}
      </p>
      {left.length > 0 && (
        <ul class="notice warn">
          {left.slice(0, 10).map((one) => <li key={one.number}>message {one.number} stays: {one.reason}</li>)}
          {left.length > 10 && <li>{left.length - 10} more stay</li>}
        </ul>
      )}
      {doubtful > 0 && <p class="notice bad">{doubtful} were sent and may still be here: the connection broke.</p>}
      {typeof broken === "string" && <p class="notice bad">Stopped: {broken}</p>}
    </>
  );
}
