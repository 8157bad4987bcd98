// Small parts that every view uses.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api";
import { word } from "../words";

/** A state in words, with a sign and a colour beside them. */
export function Badge({ state }: { state: string }) {
  const kind =
    ["consuming", "open", "active", "ok", "alive", "acked"].includes(state) ? "good"
    : ["waiting", "closed", "failing", "stopped", "dead_lettered"].includes(state) ? "bad"
    : ["paused", "blocked", "connecting", "retried", "requeued", "lost"].includes(state) ? "warn"
    : "calm";
  return <span class={`badge ${kind}`}>{word(state)}</span>;
}

/** An error code, with the command that explains it. */
export function Code({ code }: { code: string | undefined }) {
  return code === undefined ? null : <code class="code" title={`hive-host explain ${code}`}>{code}</code>;
}

export function Failure({ error }: { error: unknown }) {
  const code = error instanceof ApiError ? error.code : undefined;
  return (
    <p class="notice bad" role="alert">
      {error instanceof Error ? error.message : String(error)} <Code code={code} />
    </p>
  );
}

/** A button that is busy until what it does has ended, and shows why it failed. */
export function Act(props: {
  children: ComponentChildren;
  act: () => Promise<void>;
  kind?: "main" | "danger" | "plain";
  disabled?: boolean;
  label?: string;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const gone = useRef(false);
  useEffect(() => () => void (gone.current = true), []);
  const click = async () => {
    setBusy(true);
    setError(null);
    try {
      await props.act();
    } catch (failure) {
      if (!gone.current) setError(failure);
    } finally {
      if (!gone.current) setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class={props.kind ?? "plain"}
        disabled={busy || props.disabled}
        aria-label={props.label}
        aria-busy={busy}
        onClick={() => void click()}
      >
        {props.children}
      </button>
      {error !== null && <Failure error={error} />}
    </>
  );
}

/** A dialog that takes the keyboard until it is closed. */
export function Dialog(props: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={ref} class={props.wide ? "wide" : ""} aria-labelledby="dialog-title" onClose={props.close}>
      <h2 id="dialog-title">{props.title}</h2>
      {props.children}
    </dialog>
  );
}

/** A figure with its name. */
export function Figure({ name, children, note }: { name: string; children: ComponentChildren; note?: string }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>
        {children}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** Loads something, again whenever `keys` change or `again` is called. */
export function useLoaded<T>(load: () => Promise<T>, keys: unknown[]) {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    load().then(
      (loaded) => {
        if (gone) return;
        setValue(loaded);
        setError(null);
      },
      (failure: unknown) => {
        if (!gone) setError(failure);
      },
    );
    return () => void (gone = true);
  }, [...keys, turn]);
  return { value, error, again: () => setTurn((turn) => turn + 1), clear: () => setValue(null) };
}

/** Calls `tick` at once and every so many milliseconds while the view is there. */
export function useTicks(period: number, keys: unknown[], tick: () => void): void {
  useEffect(() => {
    tick();
    const timer = setInterval(tick, period);
    return () => clearInterval(timer);
  }, keys);
}
