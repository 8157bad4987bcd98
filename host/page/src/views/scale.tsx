// How many workers a consumer with `scale` may have, until it is started again.
import { useState } from "preact/hooks";
import { command, path, type Bounds, type Consumer, type Query, type Session } from "../api";
import { refresh } from "../live";
import { Act, Dialog } from "../parts/basics";

interface Done {
  after: Bounds;
}

function Change({ consumer, scale, close }: { consumer: string; scale: Bounds & { written: Bounds }; close: () => void }) {
  const [min, setMin] = useState(String(scale.min));
  const [max, setMax] = useState(String(scale.max));
  const give = async (query: Query) => {
    await command<Done>(path("consumers", consumer, "scale"), query);
    await refresh();
    close();
  };
  return (
    <Dialog title={`Workers of ${consumer}`} close={close}>
      <div class="pair">
        <label>
          At least
          <input type="number" min="1" max="65535" value={min} onInput={(event) => setMin(event.currentTarget.value)} />
        </label>
        <label>
          At most
          <input type="number" min="1" max="65535" value={max} onInput={(event) => setMax(event.currentTarget.value)} />
        </label>
      </div>
      <p class="quiet">
        Until the host restarts, or a reload changes this consumer. hive.toml has {scale.written.min} to {scale.written.max}.
      </p>
      <div class="buttons">
        <button type="button" class="plain" onClick={close}>Cancel</button>
        <Act act={() => give([["reset", "true"]])}>As in hive.toml</Act>
        <Act kind="main" act={() => give([["min", min], ["max", max]])}>Set the bounds</Act>
      </div>
    </Dialog>
  );
}

/** The bounds in words, behind the number of workers. */
export function boundsOf({ scale }: Consumer): string | undefined {
  return scale === undefined ? undefined : `${scale.min} to ${scale.max}${scale.by_hand ? " by hand" : ""}`;
}

export function ScaleButton({ consumer, session }: { consumer: Consumer; session: Session }) {
  const [changes, setChanges] = useState(false);
  if (!session.commands || consumer.scale === undefined) return null;
  return (
    <>
      <button type="button" class="plain" aria-label={`Workers of ${consumer.consumer}`} onClick={() => setChanges(true)}>
        Workers…
      </button>
      {changes && <Change consumer={consumer.consumer} scale={consumer.scale} close={() => setChanges(false)} />}
    </>
  );
}
