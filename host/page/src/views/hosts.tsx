// The hosts of the group, and which of them consumes which queue.
import { ApiError, read, type Hosts as Group } from "../api";
import { Badge, Empty, Failure, useLoaded, useTicks } from "../parts/basics";
import { duration, many } from "../words";

export function Hosts() {
  const { value, error, again } = useLoaded(() => read<Group>("/v1/hosts"), []);
  useTicks(5000, [], again);
  if (error instanceof ApiError && error.status === 409) {
    return (
      <>
        <div class="head"><h1>Hosts</h1></div>
        <Empty>
          This host is in no group, so it knows of no other one. Hosts with the same <code>host.group</code> see one another
          through the broker.
        </Empty>
      </>
    );
  }
  if (value === null) return error === null ? <Empty>Asking the hosts…</Empty> : <Failure error={error} />;
  return (
    <>
      <div class="head">
        <h1>Hosts</h1>
        <p class="quiet">{many(value.hosts.length, "host")} in the group {value.group}</p>
      </div>
      {value.reason !== undefined && <p class="notice bad">The other hosts cannot be asked: {value.reason}</p>}
      <table class="cards">
        <caption class="hidden">Hosts</caption>
        <thead>
          <tr>
            <th scope="col">Host</th>
            <th scope="col">Answers</th>
            <th scope="col">Version</th>
            <th scope="col">Up</th>
            <th scope="col">Consumers</th>
          </tr>
        </thead>
        <tbody>
          {value.hosts.map((host) => (
            <tr key={host.host}>
              <th scope="row">
                {host.host}
                {host.this && <small>this host</small>}
              </th>
              <td data-name="Answers"><Badge state={host.answered ? "alive" : "waiting"} /></td>
              <td data-name="Version">{host.version}</td>
              <td data-name="Up">{host.uptime_seconds === undefined ? "–" : duration(host.uptime_seconds)}</td>
              <td data-name="Consumers">
                <ul class="inline">
                  {host.consumers?.map((one) => (
                    <li key={one.consumer}>
                      {one.consumer} <Badge state={one.state} />
                    </li>
                  ))}
                </ul>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {value.queues.length > 0 && (
        <>
          <h2>Queues that one host at a time consumes</h2>
          <table class="cards">
            <caption class="hidden">Placed queues</caption>
            <thead>
              <tr>
                <th scope="col">Queue</th>
                <th scope="col">Home</th>
                <th scope="col">Active</th>
                <th scope="col">Note</th>
              </tr>
            </thead>
            <tbody>
              {value.queues.map((queue) => (
                <tr key={`${queue.connection} ${queue.queue}`}>
                  <th scope="row" class="mono">{queue.queue}</th>
                  <td data-name="Home">{queue.home}</td>
                  <td data-name="Active">{queue.active ?? "–"}</td>
                  <td data-name="Note">{queue.note ?? (queue.active !== null && queue.active !== queue.home ? "away from home" : "")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </>
  );
}
