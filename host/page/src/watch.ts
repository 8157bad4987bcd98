// The deliveries of the host as they are settled: a stream of its own for the one view that shows them.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type Delivered, type Query } from "./api";

/** Deliveries that are shown; older ones go. */
const SHOWN = 200;

/** How often the view changes at most: a reader follows no faster. */
const PERIOD = 250;

/** How long after a refusal the host is asked again. */
const PAUSE = 3000;

export interface Watched {
  /** Newest first, each with a number of its own. */
  deliveries: (Delivered & { key: number })[];
  /** Deliveries that the host left out, since they came too fast. */
  leftOut: number;
  state: "watching" | "stopped" | "connecting";
  error: unknown;
}

const NOTHING: Watched = { deliveries: [], leftOut: 0, state: "connecting", error: null };

/** Why a stream was refused, which the browser does not tell: the same request as a plain one. */
async function refusal(url: string): Promise<unknown> {
  const control = new AbortController();
  try {
    const answer = await fetch(url, { signal: control.signal });
    if (answer.ok) return null;
    return new ApiError(answer.status, (await answer.json()) as object);
  } catch {
    return null;
  } finally {
    control.abort();
  }
}

/** Watches while `on`; what was seen stays until `query` changes or `clear` is called. */
export function useWatched(query: Query, on: boolean): Watched & { clear: () => void } {
  const [watched, setWatched] = useState(NOTHING);
  const url = `/v1/deliveries?${new URLSearchParams(query).toString()}`;
  const number = useRef(0);
  useEffect(() => setWatched(NOTHING), [url]);
  useEffect(() => {
    if (!on) {
      setWatched((before) => ({ ...before, state: "stopped" }));
      return;
    }
    let source: EventSource | null = null;
    let again: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    let fresh: Watched["deliveries"] = [];
    let leftOut = 0;
    const flush = () => {
      if (fresh.length === 0 && leftOut === 0) return;
      const [deliveries, more] = [fresh.reverse(), leftOut];
      [fresh, leftOut] = [[], 0];
      setWatched((before) => ({
        ...before,
        deliveries: [...deliveries, ...before.deliveries].slice(0, SHOWN),
        leftOut: before.leftOut + more,
      }));
    };
    const open = () => {
      const opened = new EventSource(url);
      source = opened;
      opened.onopen = () => setWatched((before) => ({ ...before, state: "watching", error: null }));
      opened.addEventListener("delivery", (event) => {
        const one = JSON.parse((event as MessageEvent<string>).data) as Delivered;
        fresh.push({ ...one, key: number.current++ });
        if (fresh.length > SHOWN) fresh.shift();
      });
      opened.addEventListener("left-out", (event) => {
        leftOut += (JSON.parse((event as MessageEvent<string>).data) as { deliveries: number }).deliveries;
      });
      opened.onerror = () => {
        setWatched((before) => ({ ...before, state: "connecting" }));
        // The browser tries again by itself, but not where it was refused.
        if (opened.readyState !== EventSource.CLOSED) return;
        void refusal(url).then((error) => {
          if (gone) return;
          setWatched((before) => ({ ...before, error }));
          const isFinal = error instanceof ApiError && error.status < 500;
          if (!isFinal) again = setTimeout(open, PAUSE);
        });
      };
    };
    open();
    const ticks = setInterval(flush, PERIOD);
    return () => {
      gone = true;
      flush();
      clearInterval(ticks);
      clearTimeout(again);
      source?.close();
    };
  }, [url, on]);
  return { ...watched, clear: () => setWatched((before) => ({ ...before, deliveries: [], leftOut: 0 })) };
}
