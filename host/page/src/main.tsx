// The page: who looks at it, which view is shown, and what frames all views.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { command, read, type Session } from "./api";
import { listen, useLive } from "./live";
import { Badge, Failure } from "./parts/basics";
import { useTheme } from "./parts/theme";
import { Audit } from "./views/audit";
import { Components } from "./views/components";
import { ConsumerView } from "./views/consumer";
import { Dead } from "./views/dead";
import { Hosts } from "./views/hosts";
import { LiveView } from "./views/live";
import { Login } from "./views/login";
import { Overview } from "./views/overview";
import { Topology } from "./views/topology";
import { duration } from "./words";

const VIEWS = [
  ["overview", "Overview"],
  ["live", "Live"],
  ["dead", "Dead letters"],
  ["components", "Components"],
  ["topology", "Topology"],
  ["hosts", "Hosts"],
  ["audit", "Audit"],
] as const;

/** The parts of the address behind `#/`. */
function place(): string[] {
  const hash = location.hash.replace(/^#\/?/, "");
  return hash === "" ? ["overview"] : hash.split("/").map(decodeURIComponent);
}

function View({ at, session, theme }: { at: string[]; session: Session; theme: string }) {
  const [view, name] = at;
  switch (view) {
    case "consumers":
      return <ConsumerView key={name} name={name ?? ""} session={session} theme={theme} />;
    case "live":
      return <LiveView key={name} consumer={name ?? ""} session={session} />;
    case "dead":
      return <Dead key={name} name={name ?? ""} session={session} />;
    case "components":
      return <Components session={session} />;
    case "topology":
      return <Topology id={name ?? ""} />;
    case "hosts":
      return <Hosts />;
    case "audit":
      return <Audit />;
    default:
      return <Overview session={session} />;
  }
}

function Frame({ session, again }: { session: Session; again: () => void }) {
  const [at, setAt] = useState(place);
  const { theme, toggle } = useTheme();
  const { overview, connected } = useLive();
  useEffect(() => {
    const moved = () => {
      setAt(place());
      scrollTo(0, 0);
      document.querySelector<HTMLElement>("main")?.focus();
    };
    addEventListener("hashchange", moved);
    // The address may have changed since this was drawn for the first time.
    setAt(place());
    return () => removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => listen(again), []);
  const shown = at[0] === "consumers" ? "overview" : at[0];
  const title = VIEWS.find(([view]) => view === shown)?.[1] ?? "Overview";
  useEffect(() => {
    document.title = `${at[0] === "consumers" ? at[1] : title} – ${session.host} – Hive`;
  }, [title, at]);
  const leave = () => void command("/v1/logout").then(again, again);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>("main")?.focus();
      }}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/overview">
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 1.5 21.1 6.75v10.5L12 22.5 2.9 17.25V6.75z" /></svg>
          {session.host}
        </a>
        <nav aria-label="Views">
          {VIEWS.map(([view, name]) => (
            <a key={view} href={`#/${view}`} aria-current={shown === view ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <div class="about">
          <span class="quiet" title={`hive-host ${session.version}`}>
            {overview !== null && `up ${duration(overview.host.uptime_seconds)}`}
          </span>
          {!connected && <Badge state="closed" />}
          {session.role !== "local" && <span class="quiet">{session.role}</span>}
          <button type="button" class="plain" onClick={toggle} aria-label={theme === "dark" ? "Light colours" : "Dark colours"}>
            {theme === "dark" ? "Light" : "Dark"}
          </button>
          {session.role !== "local" && (
            <button type="button" class="plain" onClick={leave}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {!connected && (
          <p class="notice bad" role="alert">
            The host does not answer. What is shown is what it said last{overview !== null && `, at ${overview.at}`}.
          </p>
        )}
        <View at={at} session={session} theme={theme} />
      </main>
    </>
  );
}

function Page() {
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<unknown>(null);
  const look = () => {
    read<Session>("/v1/session").then(
      (session) => {
        setError(null);
        setSession(session);
      },
      (failure: unknown) => {
        setError(failure);
        setTimeout(look, 2000);
      },
    );
  };
  useEffect(look, []);
  if (session === null) return error === null ? null : <main><Failure error={error} /></main>;
  if (session.role === null) return <Login session={session} done={look} />;
  return <Frame session={session} again={look} />;
}

render(<Page />, document.body);
