// proxies.js: who streams access logs, and what their configuration lacks.
import {h, empty} from './dom.js';
import {page, get} from './page.js';
import {ago, count, percent, workload} from './format.js';

export const mount = (main) => page(main, () => get('proxies'), draw);

function draw(a) {
  const silent = (a.replicas || []).filter((r) => r.error).map((r) => h('p', {class: 'bad'}, `${r.name} does not answer: ${r.error}`));
  if (!a.proxies.length) {
    return [silent, empty('No proxy is connected', 'Give Envoy a cluster that speaks HTTP/2 to ingest.als.endpoint, and the access log envoy.access_loggers.http_grpc.',
      'Complete configurations are in examples/; tallygate doctor says the same as this page.')];
  }
  const missing = new Map();
  for (const p of a.proxies) {
    for (const m of p.missing || []) {
      const x = missing.get(m.what) || {...m, nodes: []};
      x.share = Math.max(x.share, m.share);
      x.nodes.push(p.node);
      missing.set(m.what, x);
    }
  }
  return [
    silent,
    h('section', {class: 'card'}, h('h2', {}, `${a.proxies.length} ${a.proxies.length === 1 ? 'proxy' : 'proxies'}`), h('div', {class: 'scroll'}, h('table', {id: 'proxy-table'},
      h('thead', {}, h('tr', {}, ['Workload', 'Node', 'Role', 'Address', 'Streams', 'Entries', 'Last', 'State', 'Replica'].map((t, i) => h('th', {class: ([4, 5].includes(i) ? 'num' : '') + ([1, 2, 3, 4].includes(i) ? ' wide' : '')}, t)))),
      h('tbody', {}, a.proxies.map((p) => h('tr', {}, h('td', {}, workload(p.workload, p.namespace)), h('td', {class: 'wide mono', title: p.node}, p.node), h('td', {class: 'wide'}, p.role), h('td', {class: 'wide mono'}, p.remote), h('td', {class: 'num wide'}, String(p.streams)), h('td', {class: 'num'}, count(p.entries)), h('td', {}, ago(p.last_message)),
        h('td', {}, p.mismatch ? h('span', {class: 'tag bad'}, 'identity mismatch') : p.missing?.length ? h('span', {class: 'tag warn'}, `lacks ${p.missing.length}`) : h('span', {class: 'tag good'}, 'ok')), h('td', {class: 'muted'}, p.replica))))))),
    h('div', {class: 'cards'}, [...missing.values()].map((m) => h('section', {class: 'card missing'}, h('header', {}, h('h2', {class: 'grow'}, 'Missing: ' + m.what), h('span', {class: 'tag warn'}, 'up to ' + percent(m.share) + ' % of entries')),
      h('p', {}, m.why), h('p', {class: 'muted'}, m.nodes.slice(0, 5).join(', ') + (m.nodes.length > 5 ? ` and ${m.nodes.length - 5} more` : '')), m.yaml && h('div', {}, h('h3', {}, 'Add'), h('pre', {}, m.yaml))))),
    a.proxies.some((p) => p.mismatch) && h('p', {class: 'bad'}, 'Identity mismatch: a node identifier claims another workload than its client certificate. Its claims are not believed.'),
  ];
}
