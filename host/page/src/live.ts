// The newest overview, as the host sends it: one connection for the whole page.
import { useEffect, useState } from "preact/hooks";
import { read, type Overview } from "./api";

export interface Live {
  overview: Overview | null;
  /** Whether the host answers. */
  connected: boolean;
}

let state: Live = { overview: null, connected: true };
const listeners = new Set<(state: Live) => void>();

function set(next: Live): void {
  state = next;
  for (const listener of listeners) listener(state);
}

/** How long after a refusal the host is asked again. */
const PAUSE = 3000;

/** Listens until what it returns is called. `refused` finds out whether the client has to sign in again. */
export function listen(refused: () => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    const opened = new EventSource("/v1/events");
    source = opened;
    opened.addEventListener("overview", (event) => {
      set({ overview: JSON.parse((event as MessageEvent<string>).data) as Overview, connected: true });
    });
    opened.onerror = () => {
      set({ ...state, connected: false });
      // The browser tries again by itself, but not where it was refused.
      if (opened.readyState !== EventSource.CLOSED) return;
      refused();
      timer = setTimeout(open, PAUSE);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}

/** Looks at once, after a command. */
export async function refresh(): Promise<void> {
  try {
    set({ overview: await read<Overview>("/v1/overview"), connected: true });
  } catch {
    // The next event shows it, or that there is none.
  }
}

export function useLive(): Live {
  const [now, setNow] = useState(state);
  useEffect(() => {
    listeners.add(setNow);
    setNow(state);
    return () => void listeners.delete(setNow);
  }, []);
  return now;
}
