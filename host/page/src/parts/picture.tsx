// A drawing of a topology, in SVG. Each node is a link, so the keyboard reaches it, and says in words what it shows.
import { useEffect, useRef } from "preact/hooks";
import { BOX, course, type Drawing, type Line, type Placed } from "../graph";
import { count, plain, rate, word } from "../words";

/** Letters of a name and of a label that there is room for. */
const NAME = 21;
const LABEL = 14;

/** Lines that are labelled; more of them would cover one another. */
const MOST_LABELS = 40;

const EDGE = 10;

function short(text: string, most: number): string {
  const letters = [...plain(text)];
  return letters.length <= most ? letters.join("") : `${letters.slice(0, most - 1).join("")}…`;
}

function Box({ placed, chosen }: { placed: Placed; chosen: string }) {
  const { node, stands, leftOut, x, y } = placed;
  const problem = node.problems?.[0]?.reason;
  const sign = problem !== undefined ? "✕ " : stands ? "→ " : "";
  const what = `${sign}${word(node.kind)}${leftOut > 0 ? ` · ${count(leftOut)} more` : ""}`;
  const name = short(node.name, NAME);
  // What is said begins with what is seen.
  const said = [
    `${what} ${name}${node.messages === undefined ? "" : ` ${count(node.messages)} messages`}`,
    name === plain(node.name) ? undefined : plain(node.name),
    node.state,
    problem === undefined ? undefined : `problem: ${plain(problem)}`,
    leftOut === 0 ? undefined : `${leftOut} neighbours are not drawn`,
  ].filter((text) => text !== undefined);
  const kind = problem !== undefined ? "wrong" : stands ? "stands" : node.declared ? "" : "named";
  const isChosen = node.id === chosen && !stands;
  return (
    <a
      href={`#/topology/${encodeURIComponent(node.id)}`}
      class={`place ${kind} ${isChosen ? "chosen" : ""}`}
      aria-label={said.join(", ")}
      aria-current={isChosen ? "true" : undefined}
    >
      <rect x={x} y={y} width={BOX.width} height={BOX.height} rx="6" />
      {/* The spaces are for those who hear it. */}
      <text class="what" x={x + 10} y={y + 16}>{what}</text>{" "}
      <text class="name" x={x + 10} y={y + 34}>{name}</text>{" "}
      {node.messages !== undefined && (
        <text class="what" x={x + BOX.width - 10} y={y + 16} text-anchor="end">{count(node.messages)}</text>
      )}
    </a>
  );
}

function Way({ line, isLabelled }: { line: Line; isLabelled: boolean }) {
  const { edge, from, to } = line;
  const { path, x, y } = course(line);
  const isWrong = from.node.problems !== undefined || to.node.problems !== undefined;
  const flows = (edge.rate ?? 0) > 0;
  return (
    <g class={`way ${isWrong ? "wrong" : flows ? "flows" : ""} ${edge.way}`}>
      <path d={path} marker-end="url(#arrow)" />
      {isLabelled && edge.label !== undefined && edge.label !== "" && (
        <text x={x} y={y - 4} text-anchor="middle">{short(edge.label, LABEL)}</text>
      )}
      {isLabelled && edge.rate !== undefined && (
        <text x={x} y={y + 11} text-anchor="middle">{rate(edge.rate)}/s</text>
      )}
    </g>
  );
}

export function Picture({ drawing, chosen }: { drawing: Drawing; chosen: string }) {
  const { nodes, lines, width, height } = drawing;
  const ref = useRef<HTMLDivElement>(null);
  // On a phone, the chosen place may be outside.
  useEffect(() => {
    const [box, placed] = [ref.current, nodes.find(({ node, stands }) => node.id === chosen && !stands)];
    if (box === null || placed === undefined) return;
    box.scrollLeft = placed.x + (BOX.width - box.clientWidth) / 2;
    box.scrollTop = placed.y + (BOX.height - box.clientHeight) / 2;
  }, [chosen]);
  return (
    <div ref={ref} class="picture" tabIndex={0} role="region" aria-label="The way of messages">
      <svg
        width={width + 2 * EDGE}
        height={height + 2 * EDGE}
        viewBox={`${-EDGE} ${-EDGE} ${width + 2 * EDGE} ${height + 2 * EDGE}`}
      >
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M0 0 8 4 0 8z" />
          </marker>
        </defs>
        <g aria-hidden="true">
          {lines.map((line, number) => <Way key={number} line={line} isLabelled={lines.length <= MOST_LABELS} />)}
        </g>
        {nodes.map((placed) => <Box key={placed.key} placed={placed} chosen={chosen} />)}
      </svg>
    </div>
  );
}
