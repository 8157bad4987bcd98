// A shadow: what came of its copies, with the first differences as text.
import type { Component, Report } from "../api";
import { count, many, millis } from "../words";

/** So many of so many failed, in words. */
export function share(failed: number, all: number): string {
  return all === 0 ? "none handled yet" : `${failed} of ${all} failed (${((failed / all) * 100).toFixed(1)} %)`;
}

function Counts({ report }: { report: Report }) {
  return (
    <ul>
      <li>
        compared: {count(report.same)} the same, {count(report.different)} different
      </li>
      <li>shadow: {share(report.failed, report.compared)}, {millis(report.median_ms)} a call</li>
      <li>current: {share(report.current_failed, report.compared)}, {millis(report.current_median_ms)} a call</li>
      {report.not_comparable > 0 && (
        <li>
          not comparable: {count(report.not_comparable)}
          {report.reasons.map((one) => (
            <span key={one.reason}>
              {"; "}
              {one.reason} ({one.deliveries})
            </span>
          ))}
        </li>
      )}
      {report.left_out > 0 && <li>left out, since the shadow was behind: {count(report.left_out)}</li>}
    </ul>
  );
}

function Differences({ report }: { report: Report }) {
  if (report.differences.length === 0) return null;
  return (
    <details>
      <summary>The first {many(report.differences.length, "difference")}</summary>
      {report.differences.map((one, index) => (
        <div key={index}>
          <p>
            <strong>{one.delivery}</strong> of {one.consumer}
          </p>
          <dl class="facts">
            <div>
              <dt>current</dt>
              <dd class="mono">{one.current ?? "not shown"}</dd>
            </div>
            <div>
              <dt>new</dt>
              <dd class="mono">{one.shadow ?? "not shown"}</dd>
            </div>
            {one.places.map((place, at) => (
              <div key={at}>
                <dt class="mono">{place.place}</dt>
                <dd class="mono">{place.words}</dd>
              </div>
            ))}
          </dl>
        </div>
      ))}
    </details>
  );
}

/** The shadow of a component, or the last one that it had. */
export function Shadow({ component }: { component: Component }) {
  const { shadow, last_shadow: last } = component;
  if (shadow !== undefined) {
    const seen = shadow.compared + shadow.not_comparable;
    return (
      <div class="notice warn">
        <strong>Generation {shadow.generation} is a shadow</strong>: it gets a copy of each delivery, and what it answers is
        dropped. {count(Math.min(seen, shadow.wanted))} of {count(shadow.wanted)}.
        <progress max={shadow.wanted} value={Math.min(seen, shadow.wanted)} aria-label="Deliveries of the shadow" />
        <Counts report={shadow} />
        <Differences report={shadow} />
      </div>
    );
  }
  if (last === undefined || component.canary !== undefined) return null;
  return (
    <div class={`notice ${last.all_same ? "good" : "warn"}`}>
      The last shadow, generation {last.generation}: {last.end}.
      <Counts report={last} />
      <Differences report={last} />
    </div>
  );
}
