// layout.js: where the services of a graph stand: callers to the left of whom
// they call, each column in an order with few crossings.
export const W = 172, H = 46;
const gapX = 120, gapY = 18, perColumn = 24, deepest = 12;

// nodesOf makes nodes and links of edges: links between the same two are one.
export function nodesOf(edges, origin, target) {
  const nodes = new Map(), links = new Map();
  const node = (id) => {
    if (!nodes.has(id)) nodes.set(id, {id, in: [], out: [], rate: 0, errors: 0, denied: 0, requests: 0, p95: 0});
    return nodes.get(id);
  };
  for (const e of edges) {
    const a = node(origin(e)), b = node(target(e)), key = a.id + '\0' + b.id;
    let l = links.get(key);
    if (!l) {
      l = {key, a, b, edges: [], rate: 0, errors: 0, denied: 0, requests: 0, p95: 0, tcp: 0};
      links.set(key, l);
      a.out.push(l);
      b.in.push(l);
    }
    l.edges.push(e);
    for (const x of [l, b]) {
      x.rate += e.rate || 0;
      x.requests += e.requests || 0;
      x.errors += e.errors || 0;
      x.denied += e.denied || 0;
      x.p95 = Math.max(x.p95, e.p95_ms || 0);
    }
    l.tcp += e.tcp_bytes_per_second || 0;
  }
  return {nodes: [...nodes.values()], links: [...links.values()]};
}

// layout sets x and y of every node. The same graph is laid out the same way.
export function layout(nodes) {
  nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  // Depth by the longest way from who is not called, without the links that
  // close a circle.
  const state = new Map(), order = [];
  const visit = (start) => {
    const stack = [[start, 0]];
    state.set(start, 1);
    while (stack.length) {
      const top = stack[stack.length - 1], n = top[0];
      const l = n.out[top[1]++];
      if (!l) {
        state.set(n, 2);
        order.push(n);
        stack.pop();
        continue;
      }
      l.back = state.get(l.b) === 1;
      if (!state.has(l.b)) {
        state.set(l.b, 1);
        stack.push([l.b, 0]);
      }
    }
  };
  for (const n of nodes) n.depth = 0;
  for (const n of nodes) if (!n.in.some((l) => l.a !== n) && !state.has(n)) visit(n);
  for (const n of nodes) if (!state.has(n)) visit(n);
  for (const n of order.reverse()) for (const l of n.out) if (!l.back && l.b !== n) l.b.depth = Math.max(l.b.depth, n.depth + 1);

  // A mesh of circles has ways of any length: there the nearest to who is called
  // least come first.
  if (Math.max(0, ...nodes.map((n) => n.depth)) > deepest) near(nodes);

  const layers = [];
  for (const n of nodes) (layers[n.depth] ||= []).push(n);
  layers.forEach((layer) => layer.forEach((n, i) => (n.at = i / layer.length)));
  const mean = (list, of) => list.reduce((s, l) => s + of(l).at, 0) / list.length;
  for (let sweep = 0; sweep < 6; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const n of layer) {
        const near = down ? n.in : n.out;
        n.want = near.length ? mean(near, (l) => (down ? l.a : l.b)) : n.at;
      }
      layer.sort((a, b) => a.want - b.want || (a.id < b.id ? -1 : 1));
      layer.forEach((n, i) => (n.at = (i + 0.5) / layer.length));
    }
  }
  let x = 0;
  const tallest = Math.min(perColumn, Math.max(1, ...layers.map((l) => l.length)));
  for (const layer of layers) {
    const columns = Math.ceil(layer.length / perColumn), rows = Math.ceil(layer.length / columns);
    layer.forEach((n, i) => {
      n.x = x + Math.floor(i / rows) * (W + 40);
      n.y = (i % rows) * (H + gapY) + ((tallest - rows) * (H + gapY)) / 2;
    });
    x += columns * (W + 40) - 40 + gapX;
  }
}

// near sets the depth of every node to its distance from those that call more
// than they are called.
function near(nodes) {
  let edge = nodes.filter((n) => !n.in.some((l) => l.a !== n));
  if (!edge.length) {
    const most = Math.max(...nodes.map((n) => n.out.length - n.in.length));
    edge = nodes.filter((n) => n.out.length - n.in.length === most).slice(0, Math.ceil(nodes.length / 10));
  }
  const seen = new Set(edge);
  for (const n of edge) n.depth = 0;
  for (let depth = 1; seen.size < nodes.length; depth++) {
    const next = [];
    for (const n of edge) {
      for (const l of n.out) {
        if (seen.has(l.b)) continue;
        seen.add(l.b);
        l.b.depth = Math.min(depth, deepest);
        next.push(l.b);
      }
    }
    if (!next.length) { // what nobody reaches from there
      const rest = nodes.find((n) => !seen.has(n));
      if (!rest) break;
      rest.depth = 0;
      seen.add(rest);
      next.push(rest);
      depth = 0;
    }
    edge = next;
  }
}
