// The way of messages: exchanges, queues, consumers, components and where these publish, as a graph.
import { useMemo, useState } from "preact/hooks";
import { read, type Topology as Graph } from "../api";
import { around, draw, index, MOST_DRAWN, pace, whole, type Edge, type Index, type Node } from "../graph";
import { Badge, Code, Empty, Failure, useLoaded, useTicks } from "../parts/basics";
import { Picture } from "../parts/picture";
import { count, many, plain, rate, word } from "../words";

const ON_A_PAGE = 50;

/** Rates are sampled as often. */
const PERIOD = 5000;

const WAYS: Record<string, string> = {
  binding: "by a binding",
  delivers: "delivered",
  handles: "handled",
  publishes: "published",
  requests: "as a request",
  retries: "for a retry",
  returns: "for the next attempt",
  dead_letters: "dead-lettered",
};

function at(id: string): string {
  return `#/topology/${encodeURIComponent(id)}`;
}

function Problems({ node }: { node: Node }) {
  if (node.problems === undefined) return null;
  return (
    <ul class="notice bad">
      {node.problems.map((problem) => (
        <li key={problem.reason}>{plain(problem.reason)} <Code code={problem.code} /></li>
      ))}
    </ul>
  );
}

/** The ways on one side of a node. */
function Ways({ title, all, edges, end }: { title: string; all: Index; edges: Edge[]; end: (edge: Edge) => string }) {
  return (
    <div>
      <h3>{title}</h3>
      {edges.length === 0 && <p class="quiet">nothing that hive.toml knows of</p>}
      <ul class="ways">
        {edges.slice(0, ON_A_PAGE).map((edge, number) => {
          const node = all.nodes.get(end(edge));
          return (
            <li key={number}>
              {word(node?.kind ?? "")} <a href={at(end(edge))}>{plain(node?.name ?? end(edge))}</a>, {WAYS[edge.way]}
              {edge.label !== undefined && <> with <code>{plain(edge.label)}</code></>}
              {edge.rate !== undefined && `, ${rate(edge.rate)} a second`}
            </li>
          );
        })}
      </ul>
      {edges.length > ON_A_PAGE && <p class="quiet">and {count(edges.length - ON_A_PAGE)} more</p>}
    </div>
  );
}

function Chosen({ all, node }: { all: Index; node: Node }) {
  const name = encodeURIComponent(node.name);
  return (
    <section class="card" aria-labelledby="chosen">
      <div class="head">
        <h2 id="chosen">{word(node.kind)} {plain(node.name)}</h2>
        {node.state !== undefined && <Badge state={node.state} />}
        {node.kind === "consumer" && <a href={`#/consumers/${name}`}>Charts and deliveries</a>}
        {node.kind === "queue" && <a href={`#/dead/${name}`}>Messages</a>}
        {node.kind === "component" && <a href="#/components">Versions</a>}
      </div>
      <Problems node={node} />
      <p class="quiet">
        {[
          node.connection === undefined ? null : `connection ${node.connection}`,
          node.detail === undefined ? null : plain(node.detail),
          node.messages === undefined ? null : many(node.messages, "message"),
          node.declared || node.kind === "destination" ? null : "hive.toml names it and does not declare it",
        ].filter((text) => text !== null).join("; ")}
      </p>
      {node.queues !== undefined && <p class="quiet mono">{node.queues.map(plain).join(", ")}</p>}
      <div class="columns">
        <Ways title="Comes from" all={all} edges={all.into.get(node.id) ?? []} end={(edge) => edge.from} />
        <Ways title="Goes to" all={all} edges={all.out.get(node.id) ?? []} end={(edge) => edge.to} />
      </div>
    </section>
  );
}

/** Everything there is, to search and to choose from. */
function List({ all }: { all: Index }) {
  const [search, setSearch] = useState("");
  const [kind, setKind] = useState("");
  const [page, setPage] = useState(0);
  const nodes = [...all.nodes.values()];
  const kinds = new Map<string, number>();
  nodes.forEach((node) => kinds.set(node.kind, (kinds.get(node.kind) ?? 0) + 1));
  const words = search.toLowerCase();
  const found = nodes.filter((node) => {
    if (kind === "problems" ? node.problems === undefined : kind !== "" && node.kind !== kind) return false;
    const texts = [node.name, node.detail ?? "", ...(node.queues ?? [])];
    return texts.some((text) => text.toLowerCase().includes(words));
  });
  const ways = (node: Node) => (all.into.get(node.id)?.length ?? 0) + (all.out.get(node.id)?.length ?? 0);
  const wrong = (node: Node) => node.problems?.length ?? 0;
  found.sort((one, other) => wrong(other) - wrong(one) || ways(other) - ways(one) || one.name.localeCompare(other.name));
  const pages = Math.max(1, Math.ceil(found.length / ON_A_PAGE));
  const here = Math.min(page, pages - 1);
  return (
    <>
      <div class="tools">
        <input
          type="search"
          placeholder="Name of anything"
          aria-label="Search the topology"
          value={search}
          onInput={(event) => {
            setSearch(event.currentTarget.value);
            setPage(0);
          }}
        />
        <select aria-label="Kind" value={kind} onChange={(event) => {
          setKind(event.currentTarget.value);
          setPage(0);
        }}>
          <option value="">everything ({count(nodes.length)})</option>
          <option value="problems">with a problem ({count(nodes.filter((node) => node.problems !== undefined).length)})</option>
          {[...kinds].map(([kind, number]) => (
            <option key={kind} value={kind}>{word(kind)} ({count(number)})</option>
          ))}
        </select>
        {pages > 1 && (
          <span class="pages">
            <button type="button" class="plain" disabled={here === 0} onClick={() => setPage(here - 1)}>Previous</button>
            {here + 1} of {pages}
            <button type="button" class="plain" disabled={here + 1 === pages} onClick={() => setPage(here + 1)}>Next</button>
          </span>
        )}
      </div>
      <table class="cards">
        <caption class="hidden">Everything that messages pass</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">What</th>
            <th scope="col" class="number">Ways</th>
            <th scope="col" class="number">Messages</th>
            <th scope="col" class="number">Handled/s</th>
            <th scope="col">Problem</th>
          </tr>
        </thead>
        <tbody>
          {found.slice(here * ON_A_PAGE, (here + 1) * ON_A_PAGE).map((node) => (
            <tr key={node.id}>
              <th scope="row"><a href={at(node.id)}>{plain(node.name)}</a></th>
              <td data-name="What">{word(node.kind)}</td>
              <td data-name="Ways" class="number">{count(ways(node))}</td>
              <td data-name="Messages" class="number">{count(node.messages)}</td>
              <td data-name="Handled/s" class="number">{rate(handled(all, node))}</td>
              <td class="error">{node.problems?.map((problem) => plain(problem.reason)).join("; ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length === 0 && <Empty>Nothing matches.</Empty>}
    </>
  );
}

/** Deliveries a second that pass a node; null where they are not counted. */
function handled(all: Index, node: Node): number | null {
  const ways = node.kind === "queue" ? all.out.get(node.id) : all.into.get(node.id);
  const counted = (ways ?? []).filter((edge) => edge.rate !== undefined);
  return counted.length === 0 ? null : pace(counted);
}

export function Topology({ id }: { id: string }) {
  const { value, error, again } = useLoaded(() => read<Graph>("/v1/topology"), []);
  useTicks(PERIOD, [], again);
  const all = useMemo(() => (value === null ? null : index(value)), [value]);
  const node = all?.nodes.get(id);
  const drawing = useMemo(() => {
    if (all === null) return null;
    if (id === "") return all.nodes.size <= MOST_DRAWN ? draw(all, whole(all)) : null;
    return all.nodes.has(id) ? draw(all, around(all, id)) : null;
  }, [all, id]);
  if (all === null) return error === null ? <Empty>Waiting for the host…</Empty> : <Failure error={error} />;
  const wrong = [...all.nodes.values()].filter((node) => node.problems !== undefined);
  return (
    <>
      <div class="head">
        <h1>Topology</h1>
        {id === "" ? (
          <p class="quiet" role="status">
            {wrong.length === 0 ? "Nothing is known to be wrong" : `${many(wrong.length, "place")} with a problem`}
          </p>
        ) : (
          <p><a href="#/topology">Everything</a></p>
        )}
      </div>
      {error !== null && <Failure error={error} />}
      {id === "" && wrong.length > 0 && (
        <ul class="notice bad">
          {wrong.slice(0, 10).map((node) => (
            <li key={node.id}>
              {word(node.kind)} <a href={at(node.id)}>{plain(node.name)}</a>: {plain(node.problems?.[0]?.reason ?? "")}{" "}
              <Code code={node.problems?.[0]?.code} />
            </li>
          ))}
          {wrong.length > 10 && <li>and {count(wrong.length - 10)} more</li>}
        </ul>
      )}
      {id !== "" && node === undefined && <Empty>There is no such place any more.</Empty>}
      {drawing !== null && drawing.nodes.length > 0 && <Picture drawing={drawing} chosen={id} />}
      {id === "" && drawing === null && (
        <p class="quiet">{count(all.nodes.size)} places are too many for one picture. Choose one to see the way through it.</p>
      )}
      {node !== undefined ? <Chosen all={all} node={node} /> : <List all={all} />}
    </>
  );
}
