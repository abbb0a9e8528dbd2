// panel.js: the details beside a view: a service, an edge with its last failures,
// or one request with its decision and trace.
import {h, fill, busy} from './dom.js';
import {Locked, get} from './api.js';
import {rate, percent, millis, bytes, count, ago, clockMillis, origin, target, workload, severity, statusOf, outcomeClass, known} from './format.js';
import {store, historyOf, loadHistories} from './store.js';
import {charts} from './spark.js';
import {spansOf, waterfall} from './trace.js';

let aside, shown = '', redraw = null;

export function show(element, route) {
  aside = element;
  const q = route.query, key = ['entry', 'edge', 'node'].find((k) => q.get(k)) || '';
  const next = key && key + ' ' + q.get(key) + ' ' + (q.get('replica') || '');
  if (next === shown && key) return redraw?.();
  shown = next;
  redraw = null;
  aside.hidden = !key;
  if (!key) return fill(aside);
  aside.scrollTop = 0;
  if (key === 'entry') entry(q.get('entry'), q.get('replica'));
  else if (key === 'edge') edge(q.get('edge'));
  else node(q.get('node'));
}

export function update() {
  if (aside && !aside.hidden) redraw?.();
}

const close = () => store.go(store.route().view, {edge: null, entry: null, replica: null, node: null}, true);

function head(title, sub, back) {
  return h('div', {class: 'panel-head'}, h('h2', {}, title),
    h('div', {}, back && h('button', {type: 'button', class: 'quiet', 'aria-label': 'Back', onclick: back}, '←'), h('button', {type: 'button', class: 'quiet', 'aria-label': 'Close', title: 'Close (Esc)', onclick: close}, '✕')),
    sub && h('div', {class: 'sub'}, sub));
}

const figure = (value, title, mark) => h('div', {class: 'figure'}, h('b', {class: mark || ''}, value), h('span', {}, title));

function figures(e) {
  const s = severity({error_ratio: e.error_ratio, errors: e.errors});
  return h('div', {class: 'figures'},
    figure(rate(e.rate), 'requests/s'), figure(percent(e.error_ratio), '% errors', s), figure(rate(e.denied_rate), 'denied/s', e.denied ? 'warn' : ''),
    figure(millis(e.p50_ms), 'p50'), figure(millis(e.p95_ms), 'p95'), figure(millis(e.p99_ms), 'p99'),
    e.tcp_bytes_per_second > 0 && figure(bytes(e.tcp_bytes_per_second), 'TCP per second'));
}

// node shows a service: who calls it and whom it calls.
function node(id) {
  redraw = () => {
    const all = store.edges?.edges || [];
    const callers = all.filter((e) => target(e) === id), calls = all.filter((e) => origin(e) === id);
    const sum = {rate: 0, errors: 0, requests: 0, denied: 0, denied_rate: 0};
    for (const e of callers) for (const k of Object.keys(sum)) sum[k] += e[k] || 0;
    sum.error_ratio = sum.requests ? sum.errors / sum.requests : 0;
    const list = (title, edges, other) => h('section', {}, h('h3', {}, title),
      edges.length ? h('div', {class: 'list'}, [...edges].sort((a, b) => (b.errors || 0) - (a.errors || 0) || b.rate - a.rate).slice(0, 100).map((e) => h('a', {href: `#/${store.route().view}?edge=${e.id}`},
        h('div', {class: 'row'}, h('span', {class: 'grow'}, other(e)), h('span', {class: severity(e)}, e.protocol === 'tcp' ? bytes(e.tcp_bytes_per_second) + '/s' : `${rate(e.rate)}/s · ${percent(e.error_ratio)} %`), h('span', {class: 'muted'}, millis(e.p95_ms)))))) : h('p', {class: 'muted'}, 'nobody in this time'));
    fill(aside, head(id, callers[0] && known(callers[0].service) ? callers[0].service : ''), h('div', {class: 'panel-body'},
      callers.length > 0 && h('div', {class: 'figures'}, figure(rate(sum.rate), 'requests/s'), figure(percent(sum.error_ratio), '% errors', severity({error_ratio: sum.error_ratio, errors: sum.errors})), figure(rate(sum.denied_rate), 'denied/s', sum.denied ? 'warn' : '')),
      list('Called by', callers, origin), list('Calls', calls, target)));
  };
  redraw();
}

// edge shows an edge: its figures, its last hour, its last failures.
function edge(id) {
  let failures = null, asked = 0, error = '';
  const mine = shown;
  const load = async (e) => {
    if (Date.now() - asked < 4000) return;
    asked = Date.now();
    try {
      failures = (await get('errors', {from: workload(e.source, e.source_namespace), to: workload(e.destination, e.destination_namespace), service: e.service, limit: 30})).entries;
      error = '';
    } catch (x) {
      if (x instanceof Locked) return store.locked(x.message);
      error = x.message;
    }
    if (mine === shown) draw(e);
  };
  const draw = (e) => {
    fill(aside, head(`${origin(e)} → ${target(e)}`, `${known(e.service) ? e.service : ''} · ${e.protocol} · reported by ${e.reporters.join(' and ')} to ${e.seen_by.join(', ')}`),
      h('div', {class: 'panel-body'}, figures(e),
        h('section', {}, h('h3', {}, 'Last hour'), charts(historyOf(id))),
        h('section', {}, h('h3', {}, 'Last errors and denials'), error ? h('p', {class: 'bad'}, error) : failures === null ? busy('Asking') : failures.length ? entryList(failures) : h('p', {class: 'muted'}, 'None is remembered: it has been well, or the replica has just started.')),
        h('div', {}, h('button', {type: 'button', onclick: () => store.go('tap', {from: workload(e.source, e.source_namespace), to: known(e.destination) ? workload(e.destination, e.destination_namespace) : '', service: known(e.service) ? e.service : ''})}, 'Watch this edge live'))));
  };
  let last = null;
  redraw = () => {
    const e = store.edges?.edges.find((x) => x.id === id) || last;
    if (!e) return fill(aside, head('This edge is quiet', ''), h('div', {class: 'panel-body'}, h('p', {class: 'muted'}, store.edges ? 'Nothing was reported of it in this time. Choose a longer one.' : 'Asking.')));
    last = e;
    draw(e);
    load(e);
    loadHistories([id], () => mine === shown && draw(e));
  };
  redraw();
}

// entryList are requests, each of which opens.
export function entryList(entries) {
  for (const e of entries) remember(e); // newer ones may take their place before they are opened
  return h('div', {class: 'list'}, entries.map((e) => h('a', {href: entryLink(e), 'data-entry': e.id},
    h('div', {class: 'row'}, h('span', {class: 'tag ' + outcomeClass(e)}, statusOf(e)), h('span', {class: 'grow mono', title: e.path}, `${e.method || ''} ${e.path || e.authority || ''}`.trim() || e.protocol), h('span', {class: 'muted nowrap'}, millis(e.duration_ms)), h('span', {class: 'muted nowrap'}, ago(e.time))),
    h('div', {class: 'why'}, [e.rule || e.code_details, e.flags, 'by ' + e.reporter].filter(Boolean).join(' · ')))));
}

export const entryLink = (e) => `#/${store.route().view}?` + new URLSearchParams({...Object.fromEntries(store.route().query), entry: e.id, replica: e.replica});

// live are entries that this page has seen: a replica remembers only the last
// failures of an edge.
const live = new Map();

export function remember(e) {
  live.set(e.replica + ' ' + e.id, e);
  if (live.size > 2000) live.delete(live.keys().next().value);
}

const facts = (...list) => h('dl', {class: 'facts'}, list.filter(([, v]) => v !== undefined && v !== null && v !== '' && v !== false).map(([k, v]) => [h('dt', {}, k), h('dd', {}, v)]));

async function entry(id, replica) {
  const mine = shown, back = store.route().query.get('edge') ? () => store.go(store.route().view, {entry: null, replica: null}, true) : null;
  fill(aside, head('Request', '', back), busy('Asking'));
  let e = live.get(replica + ' ' + id);
  try {
    if (!e) e = await get('entries/' + encodeURIComponent(id), {replica});
    else if (e.decision_id) e = {...e, decision: await get('decisions/' + encodeURIComponent(e.decision_id))};
  } catch (x) {
    if (x instanceof Locked) return store.locked(x.message);
    if (!e) {
      if (mine === shown) fill(aside, head('Request', '', back), h('div', {class: 'panel-body'}, h('p', {class: 'muted'}, x.status === 404 ? 'It is no longer remembered: newer failures of the edge took its place.' : x.message)));
      return;
    }
  }
  if (mine !== shown) return;
  const d = e.decision, spans = h('div', {});
  if (e.trace_id) trace(spans, e, () => mine === shown);
  fill(aside, head(`${e.method || e.protocol} ${e.path || ''}`, `${origin(e)} → ${target(e)} · ${clockMillis(e.time)}`, back), h('div', {class: 'panel-body'},
    h('div', {class: 'tags'}, h('span', {class: 'tag ' + outcomeClass(e)}, `${e.outcome} ${statusOf(e)}`), e.flags && h('span', {class: 'tag'}, e.flags), h('span', {class: 'tag'}, millis(e.duration_ms)), h('span', {class: 'tag'}, 'by ' + e.reporter)),
    (e.rule || e.decision_id || d) && h('section', {id: 'decision'}, h('h3', {}, 'Decision'),
      facts(['Verdict', d && h('span', {class: 'tag ' + ({deny: 'warn', allow: 'good', error: 'bad'})[d.verdict]}, d.verdict)], ['Rule', h('code', {}, e.rule || d?.rule || '')], ['Reason', d?.reason], ['Entrypoint', d?.entrypoint],
        ['Revision', d?.revision && h('code', {}, d.revision)], ['Answered', d && `in ${millis(d.duration_us / 1000)}${d.cache_hit ? ', from the cache' : ''}`], ['Id', e.decision_id && h('code', {}, e.decision_id)]),
      d?.input ? h('details', {}, h('summary', {class: 'muted'}, 'Input, without what is masked'), h('pre', {}, JSON.stringify(d.input, null, 2))) : !d && h('p', {class: 'muted'}, 'The decision log no longer remembers the rest.')),
    h('section', {id: 'trace'}, h('h3', {}, 'Trace'), e.trace_id ? facts(['Trace', e.trace_url ? h('a', {href: e.trace_url, target: '_blank', rel: 'noreferrer'}, h('code', {}, e.trace_id)) : h('code', {}, e.trace_id)], ['Span', e.span_id && h('code', {}, e.span_id)]) : h('p', {class: 'muted'}, 'The proxy logs no trace id. See Proxies for what to add.'), spans),
    h('section', {}, h('h3', {}, 'Request'), facts(['Host', e.authority], ['Path', e.path && h('code', {}, e.path)], ['Request id', e.request_id && h('code', {}, e.request_id)], ['Why', e.code_details], ['Upstream failure', e.upstream_failure],
      ['Attempts', e.attempts > 1 && String(e.attempts)], ['Sizes', e.protocol !== 'tcp' && `${bytes(e.request_bytes)} in, ${bytes(e.response_bytes)} out`], ['User agent', e.user_agent], ['Route', e.route], ['Cluster', e.upstream_cluster])),
    h('section', {}, h('h3', {}, 'Ends'), facts(['From', origin(e)], ['As', e.source_principal], ['Client', e.client], ['To', target(e)], ['As', e.destination_principal], ['Service', e.service], ['Upstream', e.upstream], ['Replica', e.replica]))));
}

// trace shows the spans of an entry's trace. They come a little later than the
// entry: they are sent and stored by batches.
async function trace(box, e, here) {
  for (let tries = 0; tries < 4 && here(); tries++) {
    try {
      const spans = spansOf((await get('traces/' + encodeURIComponent(e.trace_id))).answers);
      if (spans.length) fill(box, waterfall(spans, e.span_id));
      else fill(box, h('p', {class: 'muted'}, 'No span of it is stored' + (e.trace_url ? ' here.' : '. spans.sampling says which are made, and a proxy that traces sends its own to receivers.')));
    } catch (x) {
      if (x instanceof Locked) return store.locked(x.message);
      fill(box, h('p', {class: 'muted'}, 'Its spans cannot be read: ' + x.message));
    }
    await new Promise((done) => setTimeout(done, 2500));
  }
}

export {facts, figure, count};
