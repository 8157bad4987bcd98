// Signing in: a token becomes the cookie of a session, and is forgotten here.
import { useState } from "preact/hooks";
import { command, type Session } from "../api";
import { Failure } from "../parts/basics";
import { useTheme } from "../parts/theme";

export function Login({ session, done }: { session: Session; done: () => void }) {
  useTheme();
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = new FormData(form).get("token");
    setBusy(true);
    setError(null);
    command("/v1/login", [], { token }).then(done, (failure: unknown) => {
      setError(failure);
      setBusy(false);
    });
  };
  return (
    <main class="login">
      <h1>{session.host}</h1>
      {session.login ? (
        <form onSubmit={submit}>
          <label>
            Token
            <input name="token" type="password" autocomplete="current-password" required autofocus />
          </label>
          <p class="quiet">
            <code>host.admin_token</code> may do everything, <code>host.admin_viewer_token</code> reads.
          </p>
          <button class="main" disabled={busy}>Sign in</button>
          {error !== null && <Failure error={error} />}
        </form>
      ) : (
        <p>
          This host is shown on its own machine only. Set <code>host.admin_token</code> or{" "}
          <code>host.admin_viewer_token</code>, and restart it, to sign in from another one.
        </p>
      )}
    </main>
  );
}
