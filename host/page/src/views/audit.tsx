// Who gave which command, and what came of it.
import { read, type AuditEntry } from "../api";
import { Badge, Empty, Failure, useLoaded, useTicks } from "../parts/basics";
import { ago, moment } from "../words";

export function Audit() {
  const { value, error, again } = useLoaded(() => read<AuditEntry[]>("/v1/audit"), []);
  useTicks(5000, [], again);
  return (
    <>
      <div class="head">
        <h1>Audit</h1>
        <p class="quiet">the last commands that this host was given, newest first; its log has all of them</p>
      </div>
      {error !== null && <Failure error={error} />}
      {value !== null && value.length === 0 && <Empty>No command was given since the host started.</Empty>}
      {value !== null && value.length > 0 && (
        <table class="cards">
          <caption class="hidden">Commands</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">By</th>
              <th scope="col">Command</th>
              <th scope="col">With</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {value.map((entry, index) => (
              <tr key={index}>
                <td data-name="When" title={moment(entry.at)}>{ago(entry.at)}</td>
                <td data-name="By">
                  {entry.by}
                  {entry.from !== undefined && <small>{entry.from}</small>}
                </td>
                <th scope="row">
                  {entry.command} {entry.subject !== undefined && <span class="mono">{entry.subject}</span>}
                </th>
                <td data-name="With" class="mono">
                  {Object.entries(entry.arguments ?? {}).map(([name, value]) => `${name}=${value}`).join(" ")}
                </td>
                <td data-name="Result"><Badge state={entry.result} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
