// Which part of a topology is drawn, and where each of its nodes goes. Nothing here touches the page.
import type { Topology } from "./api";

export type Node = Topology["nodes"][number];
export type Edge = Topology["edges"][number];

/** Nodes that are drawn at once; more are for nobody to read. */
export const MOST_DRAWN = 60;

/** Neighbours of one node that are drawn on one side of it. */
const MOST_NEIGHBOURS = 10;

/** The columns, from where messages come to where they go. */
const COLUMNS: Record<string, number> = {
  schedule: 0,
  http_route: 0,
  exchange: 1,
  queue: 2,
  consumer: 3,
  pattern: 3,
  component: 4,
  retries: 4,
  destination: 5,
};
const LAST = 5;

export const BOX = { width: 164, height: 44 };
const GAP = { across: 92, down: 16 };

/** A topology by its nodes. */
export interface Index {
  nodes: Map<string, Node>;
  /** Ways that lead away from a node, and those that lead to it. */
  out: Map<string, Edge[]>;
  into: Map<string, Edge[]>;
}

export function index({ nodes, edges }: Topology): Index {
  const out = new Map<string, Edge[]>();
  const into = new Map<string, Edge[]>();
  const add = (to: Map<string, Edge[]>, id: string, edge: Edge) => {
    const there = to.get(id);
    if (there === undefined) to.set(id, [edge]);
    else there.push(edge);
  };
  for (const edge of edges) {
    add(out, edge.from, edge);
    add(into, edge.to, edge);
  }
  return { nodes: new Map(nodes.map((node) => [node.id, node])), out, into };
}

/** A part of the topology. */
export interface Part {
  ids: Set<string>;
  /** By node: how many of its neighbours are left out. */
  leftOut: Map<string, number>;
}

/** All of it. */
export function whole({ nodes }: Index): Part {
  return { ids: new Set(nodes.keys()), leftOut: new Map() };
}

/** What comes to a node, and what goes from it. */
export function around(all: Index, id: string): Part {
  const part: Part = { ids: new Set([id]), leftOut: new Map() };
  walk(all, id, part, (at) => all.out.get(at) ?? [], (edge) => edge.to);
  walk(all, id, part, (at) => all.into.get(at) ?? [], (edge) => edge.from);
  return part;
}

function walk(all: Index, id: string, part: Part, ways: (id: string) => Edge[], end: (edge: Edge) => string): void {
  const seen = new Set([id]);
  let ring = [id];
  while (ring.length > 0) {
    const next: string[] = [];
    for (const at of ring) {
      // What returns to its queue would lead around in a circle.
      const ends = new Set(ways(at).filter((edge) => edge.way !== "returns").map(end));
      const fresh = [...ends].filter((one) => !seen.has(one)).sort((one, other) => weight(all, other) - weight(all, one));
      const room = Math.min(MOST_NEIGHBOURS, MOST_DRAWN - part.ids.size);
      fresh.slice(0, Math.max(0, room)).forEach((one) => {
        seen.add(one);
        part.ids.add(one);
        next.push(one);
      });
      if (fresh.length > room) part.leftOut.set(at, (part.leftOut.get(at) ?? 0) + fresh.length - Math.max(0, room));
    }
    ring = next;
  }
}

/** What is drawn first: what is wrong, then what is busy. */
function weight(all: Index, id: string): number {
  const wrong = all.nodes.get(id)?.problems === undefined ? 0 : 1_000_000;
  return wrong + pace(all.into.get(id)) + pace(all.out.get(id));
}

/** Deliveries a second along all of these ways. */
export function pace(edges: Edge[] | undefined): number {
  return (edges ?? []).reduce((sum, edge) => sum + (edge.rate ?? 0), 0);
}

/** A node with its place; one that stands for another is drawn where messages leave. */
export interface Placed {
  key: string;
  node: Node;
  stands: boolean;
  leftOut: number;
  x: number;
  y: number;
}

export interface Line {
  edge: Edge;
  from: Placed;
  to: Placed;
}

export interface Drawing {
  nodes: Placed[];
  lines: Line[];
  width: number;
  height: number;
}

function column(all: Index, node: Node): number {
  const own = COLUMNS[node.kind] ?? LAST;
  if (node.kind !== "queue") return own;
  // A queue that only takes what leaves is right of what it takes from.
  const into = all.into.get(node.id) ?? [];
  if ((all.out.get(node.id) ?? []).length > 0 || into.some((edge) => edge.way === "binding")) return own;
  const from = into.map((edge) => COLUMNS[all.nodes.get(edge.from)?.kind ?? ""] ?? 0);
  return Math.max(own, ...from.map((at) => at + 1));
}

/** Puts the nodes of a part into columns, each near what it has to do with. */
export function draw(all: Index, part: Part): Drawing {
  const columns: Placed[][] = Array.from({ length: LAST + 1 }, () => []);
  const placed = new Map<string, Placed>();
  const place = (key: string, node: Node, at: number, stands: boolean): Placed => {
    const there = placed.get(key);
    if (there !== undefined) return there;
    const made = { key, node, stands, leftOut: stands ? 0 : (part.leftOut.get(node.id) ?? 0), x: at, y: 0 };
    placed.set(key, made);
    columns[at]?.push(made);
    return made;
  };
  for (const id of part.ids) {
    const node = all.nodes.get(id);
    if (node !== undefined) place(id, node, column(all, node), false);
  }
  const lines: Line[] = [];
  for (const id of part.ids) {
    for (const edge of all.out.get(id) ?? []) {
      const [from, to] = [placed.get(edge.from), placed.get(edge.to)];
      const target = all.nodes.get(edge.to);
      if (from === undefined || to === undefined || target === undefined || edge.way === "returns") continue;
      const isBack = to.x < from.x || (to.x === from.x && edge.way !== "binding");
      const beside = Math.min(LAST, from.x + 1);
      lines.push({ edge, from, to: isBack ? place(`${beside} to ${edge.to}`, target, beside, true) : to });
    }
  }
  const used = columns.filter((nodes) => nodes.length > 0);
  used.forEach((nodes, at) => nodes.forEach((node) => (node.x = at)));
  order(used, lines);
  const rows = Math.max(1, ...used.map((nodes) => nodes.length));
  used.forEach((nodes, at) => {
    const top = ((rows - nodes.length) * (BOX.height + GAP.down)) / 2;
    nodes.forEach((node, row) => {
      node.x = at * (BOX.width + GAP.across);
      node.y = top + row * (BOX.height + GAP.down);
    });
  });
  return {
    nodes: used.flat(),
    lines,
    width: used.length * (BOX.width + GAP.across) - GAP.across,
    height: rows * (BOX.height + GAP.down) - GAP.down,
  };
}

/** Orders each column by the mean place of the neighbours, so that lines cross seldom. */
function order(columns: Placed[][], lines: Line[]): void {
  const near = new Map<Placed, Placed[]>();
  const add = (one: Placed, other: Placed) => near.set(one, [...(near.get(one) ?? []), other]);
  for (const { from, to } of lines) {
    add(from, to);
    add(to, from);
  }
  const name = (placed: Placed) => placed.node.name;
  columns.forEach((nodes) => nodes.sort((one, other) => name(one).localeCompare(name(other))));
  const number = () => columns.forEach((nodes) => nodes.forEach((node, row) => (node.y = row - nodes.length / 2)));
  number();
  for (let turn = 0; turn < 4; turn += 1) {
    for (const nodes of columns) {
      const mean = new Map(
        nodes.map((node) => {
          const of = near.get(node) ?? [];
          return [node, of.length === 0 ? node.y : of.reduce((sum, one) => sum + one.y, 0) / of.length];
        }),
      );
      nodes.sort((one, other) => (mean.get(one) ?? 0) - (mean.get(other) ?? 0));
      number();
    }
  }
}

/** The course of a line: from the right side of one box to the left side of another. */
export function course({ from, to }: Line): { path: string; x: number; y: number } {
  const [x1, y1, y2] = [from.x + BOX.width, from.y + BOX.height / 2, to.y + BOX.height / 2];
  if (from.x === to.x) {
    const out = x1 + GAP.across / 2;
    return { path: `M${x1} ${y1}C${out} ${y1} ${out} ${y2} ${x1} ${y2}`, x: x1 + GAP.across / 3, y: (y1 + y2) / 2 };
  }
  const x2 = to.x;
  const half = (x1 + x2) / 2;
  return { path: `M${x1} ${y1}C${half} ${y1} ${half} ${y2} ${x2} ${y2}`, x: half, y: (y1 + y2) / 2 };
}
