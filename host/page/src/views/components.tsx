// Components: which version serves, which is on trial, what each may reach; and new code for them.
import { useState } from "preact/hooks";
import { command, path, type Component, type Query, type Session } from "../api";
import { refresh, useLive } from "../live";
import { Act, Badge, Dialog, Empty, Figure } from "../parts/basics";
import { ago, count, many, millis, moment } from "../words";
import { Shadow, share } from "./shadow";

interface Done {
  done: "swapped" | "on_trial" | "shadowed" | "shadow_dropped" | "promoted" | "trial_ended" | "unchanged";
  after?: { generation: number };
  canary?: { generation: number };
  shadow?: { generation: number };
  current?: { generation: number };
}

/** What a command did, in words. */
function told(done: Done): string {
  switch (done.done) {
    case "swapped":
      return `Generation ${done.after?.generation} serves now.`;
    case "promoted":
      return `Generation ${done.after?.generation} is promoted, and serves now.`;
    case "on_trial":
      return `Generation ${done.canary?.generation} is on trial.`;
    case "shadowed":
      return `Generation ${done.shadow?.generation} is a shadow; ${done.current?.generation} serves.`;
    case "shadow_dropped":
      return `Generation ${done.shadow?.generation} is dropped; ${done.current?.generation} serves on.`;
    case "trial_ended":
      return `Generation ${done.canary?.generation} is gone; ${done.current?.generation} serves on.`;
    case "unchanged":
      return "The code is that of the current version: nothing was changed.";
  }
}

function Swap({ component, close }: { component: Component; close: (told: string | null) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [how, setHow] = useState<"at once" | "canary" | "shadow">("at once");
  const [percent, setPercent] = useState("10");
  const [deliveries, setDeliveries] = useState("200");
  const swap = async () => {
    const query: Query =
      how === "canary" ? [["canary", percent], ["deliveries", deliveries]]
      : how === "shadow" ? [["shadow", "true"], ["deliveries", deliveries]]
      : [];
    const done = await command<Done>(path("components", component.component, "swap"), query, file ?? undefined);
    await refresh();
    close(told(done));
  };
  return (
    <Dialog title={`New code for ${component.component}`} close={() => close(null)}>
      <label>
        A component (.wasm); without one, the file of hive.toml as it is now
        <input type="file" accept=".wasm,application/wasm" onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)} />
      </label>
      <label class="check">
        <input type="checkbox" checked={how === "canary"} onChange={(event) => setHow(event.currentTarget.checked ? "canary" : "at once")} />
        On trial first, with a share of the deliveries
      </label>
      <label class="check">
        <input type="checkbox" checked={how === "shadow"} onChange={(event) => setHow(event.currentTarget.checked ? "shadow" : "at once")} />
        As a shadow first, with a copy of each delivery: what it answers is compared and dropped
      </label>
      {how !== "at once" && (
        <div class="pair">
          {how === "canary" && (
            <label>
              Percent
              <input type="number" min="0.1" max="100" step="any" value={percent} onInput={(event) => setPercent(event.currentTarget.value)} />
            </label>
          )}
          <label>
            {how === "canary" ? "Judged after deliveries" : "Reported after deliveries"}
            <input type="number" min="1" value={deliveries} onInput={(event) => setDeliveries(event.currentTarget.value)} />
          </label>
        </div>
      )}
      <p class="quiet">Code that does not fit or does not start is refused, and the current version serves on.</p>
      <div class="buttons">
        <button type="button" class="plain" onClick={() => close(null)}>Cancel</button>
        <Act kind="main" act={swap}>{how === "canary" ? "Start the trial" : how === "shadow" ? "Start the shadow" : "Swap"}</Act>
      </div>
    </Dialog>
  );
}

function Card({ component, session }: { component: Component; session: Session }) {
  const { overview } = useLive();
  const [swaps, setSwaps] = useState(false);
  const [done, setDone] = useState<string | null>(null);
  const name = component.component;
  const counts = overview?.counts[name];
  const consumers = overview?.consumers.filter((one) => one.component === name) ?? [];
  const slowest = Math.max(...consumers.map((one) => overview?.rates[one.consumer]?.minute_1?.p95_ms ?? -1));
  const { canary, shadow, before, last_canary: last } = component;
  const onTrial = canary ?? shadow;
  const denied = Object.entries(counts?.denied ?? {});
  const give = (verb: "back" | "promote" | "roll-back") => async () => {
    const done = await command<Done>(path("components", name, verb));
    await refresh();
    setDone(told(done));
  };
  return (
    <section class="card" aria-labelledby={`component-${name}`}>
      <div class="head">
        <h2 id={`component-${name}`}>{name}</h2>
        {session.commands && (
          <>
            <button type="button" class="plain" aria-label={`New code for ${name}`} onClick={() => setSwaps(true)}>New code…</button>
            {onTrial !== undefined && (
              <>
                <Act key="promote" act={give("promote")} label={`Promote ${onTrial.generation} of ${name}`}>
                  Promote {onTrial.generation}
                </Act>
                <Act key="roll-back" act={give("roll-back")} label={`${shadow ? "Drop" : "Roll back"} ${onTrial.generation} of ${name}`}>
                  {shadow ? "Drop" : "Roll back"} {onTrial.generation}
                </Act>
              </>
            )}
            {onTrial === undefined && before !== undefined && (
              <Act key="back" act={give("back")} label={`Roll back to ${before.generation}: ${name}`}>
                Roll back to {before.generation}
              </Act>
            )}
          </>
        )}
      </div>
      {done !== null && <p class="notice good" role="status">{done}</p>}
      <dl class="figures">
        <Figure name="Generation" note={`since ${moment(component.since)}, ${ago(component.since)}`}>{component.generation}</Figure>
        <Figure name="SHA-256"><code title={component.sha256}>{component.sha256.slice(0, 12)}</code></Figure>
        <Figure name="Instances in memory">{count(counts?.instances)}</Figure>
        <Figure name="p95" note="over the last minute">{millis(slowest < 0 ? null : slowest)}</Figure>
        <Figure name="Traps and limits" note="since the host started">{count(counts?.traps)}</Figure>
      </dl>
      {canary !== undefined && (
        <div class="notice warn">
          <strong>Generation {canary.generation} is on trial</strong> with {canary.percent} % of the deliveries, for{" "}
          {canary.deliveries} of {canary.wanted}.
          <progress max={canary.wanted} value={canary.deliveries} aria-label="Deliveries of the trial" />
          <ul>
            <li>on trial: {share(canary.failed, canary.deliveries)}</li>
            <li>current: {share(canary.current_failed, canary.current_deliveries)}</li>
          </ul>
        </div>
      )}
      {canary === undefined && last !== undefined && (
        <p class={`notice ${last.promoted ? "good" : "warn"}`}>
          The last trial, of generation {last.generation}: {last.promoted ? "promoted" : last.by_hand ? "rolled back" : "refused"}
          {last.by_hand && " by hand"}. On trial: {share(last.failed, last.deliveries)}; the one before it:{" "}
          {share(last.current_failed, last.current_deliveries)}.
        </p>
      )}
      <Shadow component={component} />
      <p class="quiet">
        Consumers:{" "}
        {consumers.length === 0 ? "none" : consumers.slice(0, 12).map((one) => (
          <span key={one.consumer}>
            <a href={`#/consumers/${encodeURIComponent(one.consumer)}`}>{one.consumer}</a> <Badge state={one.state} />{" "}
          </span>
        ))}
        {consumers.length > 12 && `and ${consumers.length - 12} more`}
      </p>
      {denied.length > 0 && (
        <p class="notice warn">
          Denied: {denied.map(([capability, times]) => `${capability} ${many(times, "time")}`).join(", ")}. The log says what was asked for.
        </p>
      )}
      <details>
        <summary>{many(component.imports.length, "import")} and what is granted</summary>
        <Facts component={component} />
      </details>
      {swaps && (
        <Swap component={component} close={(told) => {
          setSwaps(false);
          if (told !== null) setDone(told);
        }} />
      )}
    </section>
  );
}

function Facts({ component }: { component: Component }) {
  return (
    <dl class="facts">
      {component.imports.map((one) => (
        <div key={one.import}>
          <dt class="mono">{one.import}</dt>
          <dd>{one.granted}</dd>
        </div>
      ))}
      <div>
        <dt>publishes</dt>
        <dd>{component.publishes}</dd>
      </div>
    </dl>
  );
}

export function Components({ session }: { session: Session }) {
  const { overview } = useLive();
  return (
    <>
      <div class="head"><h1>Components</h1></div>
      {overview === null && <Empty>Waiting for the host…</Empty>}
      {overview !== null && overview.components.length === 0 && <Empty>This host has no components.</Empty>}
      {overview?.components.map((component) => <Card key={component.component} component={component} session={session} />)}
    </>
  );
}
