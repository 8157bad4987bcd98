// Charts: a line in a table's cell, and uPlot for the rest.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** A line without axes. */
export function Sparkline({ values, label }: { values: number[]; label: string }) {
  const width = 96;
  const height = 22;
  const most = Math.max(...values, 0.001);
  const step = width / Math.max(59, values.length - 1);
  const first = width - (values.length - 1) * step;
  const points = values.map((value, index) => {
    const y = height - 2 - (value / most) * (height - 4);
    return `${(first + index * step).toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <polyline points={points.join(" ")} />
    </svg>
  );
}

export interface Line {
  name: string;
  /** The name of a custom property of the style. */
  colour: string;
  values: (number | null)[];
  dashed?: boolean;
}

/** Lines over the last minutes. `theme` is drawn anew when it changes. */
export function Chart(props: { title: string; unit: string; period: number; lines: Line[]; theme: string }) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const length = Math.max(0, ...props.lines.map((line) => line.values.length));
  const times = Array.from({ length }, (_, index) => (index + 1 - length) * props.period);
  const data = [times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;
  useEffect(() => {
    const place = holder.current;
    if (place === null) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const drawn = new uPlot(
      {
        width: place.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [-300, 0] }, y: { range: (_, __, most) => [0, Math.max(most ?? 0, 1)] } },
        axes: [
          { ...axis, size: 26, values: (_, splits) => splits.map((split) => (split === 0 ? "now" : `${split / 60} min`)), incrs: [60] },
          { ...axis, size: 48, values: (_, splits) => splits.map((split) => `${split}`) },
        ],
        series: [
          {},
          ...props.lines.map((line) => ({
            stroke: colour(line.colour),
            width: 1.5,
            points: { show: false },
            ...(line.dashed ? { dash: [5, 4] } : {}),
          })),
        ],
      },
      data,
      place,
    );
    chart.current = drawn;
    const sizes = new ResizeObserver(() => drawn.setSize({ width: place.clientWidth, height: 150 }));
    sizes.observe(place);
    return () => {
      sizes.disconnect();
      drawn.destroy();
      chart.current = null;
    };
  }, [props.theme, props.lines.length]);
  useEffect(() => chart.current?.setData(data), [data]);
  const newest = props.lines.map((line) => `${line.name} ${line.values.at(-1) ?? "unknown"}`);
  return (
    <figure class="chart">
      <figcaption>
        <strong>{props.title}</strong> <span class="quiet">{props.unit}</span>
        <span class="legend">
          {props.lines.map((line) => (
            <span key={line.name}>
              <svg viewBox="0 0 14 4" aria-hidden="true">
                <line x1="0" x2="14" y1="2" y2="2" class={`stroke${line.colour}`} stroke-dasharray={line.dashed ? "4 3" : undefined} />
              </svg>
              {line.name}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={holder} role="img" aria-label={`${props.title}: ${newest.join(", ")}`} />
    </figure>
  );
}
