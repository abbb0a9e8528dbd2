// main.js: the frame: tabs, time, colours, keys, who answers; and which view is
// on. Views are modules with mount(main, route) → {update?, unmount?}.
import {h, fill, busy} from './dom.js';
import {Locked, get, redeem, setToken} from './api.js';
import {clock, rate, percent} from './format.js';
import {store, poll} from './store.js';
import * as graph from './graph.js';
import * as edges from './edges.js';
import * as tap from './tap.js';
import * as policy from './policy.js';
import * as quotas from './quotas.js';
import * as proxies from './proxies.js';
import * as panel from './panel.js';

const views = [
  ['graph', 'Graph', graph], ['edges', 'Edges', edges], ['tap', 'Tap', tap],
  ['policy', 'Policy', policy], ['quotas', 'Quotas', quotas], ['proxies', 'Proxies', proxies],
];
const $ = (id) => document.getElementById(id);
const main = $('main');
let current = null, name = '';

// parseRoute reads #/view?key=value.
export function parseRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  return {view: views.some(([v]) => v === path) ? path : 'graph', query: new URLSearchParams(query || '')};
}

// go changes parts of the route; null takes one away.
export function go(view, change = {}, keep = false) {
  const q = keep ? parseRoute().query : new URLSearchParams();
  for (const [k, v] of Object.entries(change)) {
    if (v === null || v === '') q.delete(k);
    else q.set(k, v);
  }
  location.hash = '#/' + view + (q.size ? '?' + q : '');
}
store.go = go;
store.route = parseRoute;

function show() {
  const route = parseRoute();
  fill($('tabs'), views.map(([v, title]) => h('a', {href: '#/' + v, 'aria-current': v === route.view ? 'page' : null}, title)));
  if (name !== route.view) {
    current?.unmount?.();
    fill(main);
    main.className = '';
    name = route.view;
    document.title = views.find(([v]) => v === name)[1] + ' · Tallygate';
    current = views.find(([v]) => v === name)[2].mount(main, route);
  } else {
    current?.route?.(route);
  }
  panel.show($('panel'), route);
  status();
}

// status says who answered, when, and what the whole mesh does.
function status() {
  const s = $('status'), list = store.edges?.edges || [];
  s.className = store.error ? 'broken' : '';
  main.classList.toggle('stale', !!store.error && !!store.edges);
  if (store.error) {
    fill(s, h('span', {}, h('i', {class: 'dot bad'}), store.error), store.at && h('span', {}, 'as of ' + clock(store.at)), h('span', {class: 'spacer'}), h('span', {}, 'asking again'));
    return;
  }
  if (!store.edges) {
    fill(s, h('span', {}, h('i', {class: 'dot idle'}), 'connecting'));
    return;
  }
  let all = 0, failed = 0, denied = 0;
  for (const e of list) {
    all += e.rate || 0;
    failed += e.error_rate || 0;
    denied += e.denied_rate || 0;
  }
  const silent = store.edges.replicas.filter((r) => r.error);
  fill(s,
    h('span', {}, h('strong', {}, rate(all)), ' requests/s'),
    h('span', {class: failed / all >= 0.05 ? 'bad' : ''}, h('strong', {}, percent(all ? failed / all : 0)), ' % errors'),
    h('span', {class: denied ? 'warn' : ''}, h('strong', {}, rate(denied)), ' denied/s'),
    h('span', {}, h('strong', {}, String(list.length)), list.length === 1 ? ' edge' : ' edges'),
    h('span', {class: 'spacer'}),
    silent.map((r) => h('span', {class: 'bad', title: r.error}, h('i', {class: 'dot bad'}), r.name + ' does not answer')),
    h('span', {id: 'replicas', title: store.edges.replicas.map((r) => r.name + (r.error ? ': ' + r.error : '')).join('\n')},
      h('i', {class: 'dot' + (silent.length ? ' warn' : '')}), store.edges.replicas.filter((r) => !r.error).map((r) => r.name).join(', ')),
    h('span', {}, 'as of ' + clock(store.at)));
}

store.listeners.add(() => {
  status();
  current?.update?.();
  panel.update();
});

// locked asks for what opens the page.
export function locked(why) {
  current?.unmount?.();
  current = null;
  name = '';
  $('panel').hidden = true;
  fill($('tabs'));
  fill($('status'), h('span', {}, h('i', {class: 'dot idle'}), 'locked'));
  $('status').className = '';
  main.className = '';
  const field = h('input', {type: 'password', id: 'token', 'aria-label': 'Admin token', placeholder: 'or paste the admin token', autocomplete: 'off'});
  fill(main, h('div', {class: 'login'},
    h('h1', {}, 'This page needs a token'),
    h('p', {}, 'On the machine that runs Tallygate, or where its token is:'),
    h('pre', {}, 'tallygate console'),
    h('p', {class: 'muted'}, 'and open what it prints. The link works once, for a minute; this tab then stays open for twelve hours.'),
    h('form', {onsubmit: (e) => {
      e.preventDefault();
      setToken(field.value.trim());
      field.value = '';
      begin();
    }}, field, h('button', {class: 'primary', type: 'submit'}, 'Open')),
    why && h('p', {class: 'bad', role: 'alert'}, why)));
  field.focus();
}
store.locked = locked;

async function begin() {
  fill(main, busy('Connecting'));
  const code = new URLSearchParams(location.hash.slice(1)).get('login');
  try {
    if (code) {
      history.replaceState(null, '', location.pathname + '#/graph');
      await redeem(code);
    }
    store.peers = await get('peers');
  } catch (e) {
    if (e instanceof Locked) return locked(code || sessionStorage.getItem('tallygate-token') ? e.message : '');
    store.error = 'Tallygate does not answer: ' + e.message;
    status();
    fill(main, busy('Tallygate does not answer. Asking again'));
    setTimeout(begin, 2000);
    return;
  }
  store.error = '';
  window.onhashchange = () => {
    if (new URLSearchParams(location.hash.slice(1)).get('login')) return begin();
    show();
  };
  name = '';
  show();
  poll();
}

const themes = ['system', 'light', 'dark'];
function theme(t) {
  if (t === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
  localStorage.setItem('tallygate-theme', t);
  $('theme').textContent = {system: '◐', light: '☀', dark: '☾'}[t];
  store.listeners.forEach((f) => f());
}
const nextTheme = () => theme(themes[(themes.indexOf(localStorage.getItem('tallygate-theme') || 'system') + 1) % 3]);
theme(localStorage.getItem('tallygate-theme') || 'system');
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => store.listeners.forEach((f) => f()));
$('theme').onclick = nextTheme;
$('since').value = store.since;
$('since').onchange = () => {
  store.since = $('since').value;
  localStorage.setItem('tallygate-since', store.since);
  poll();
};

const keys = [['1 – 6', 'the views'], ['/', 'filter'], ['j k', 'next, previous'], ['Enter', 'open'], ['Esc', 'close'], ['t', 'colours'], ['?', 'this']];
function help() {
  const d = $('keys');
  if (d.open) return d.close();
  fill(d, h('h2', {}, 'Keys'), h('dl', {class: 'facts', style: {marginTop: '12px'}}, keys.map(([k, what]) => [h('dt', {}, h('kbd', {}, k)), h('dd', {}, what)])),
    h('form', {method: 'dialog', style: {marginTop: '14px'}}, h('button', {}, 'Close')));
  d.showModal();
}
$('help').onclick = help;

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || !current) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
  if (e.key === 'Escape') {
    if (typing) {
      e.preventDefault(); // it would empty the field
      return e.target.blur();
    }
    return go(parseRoute().view, {edge: null, entry: null, replica: null, node: null}, true);
  }
  if (typing || $('keys').open) return;
  const i = '123456'.indexOf(e.key);
  if (i >= 0) return go(views[i][0]);
  if (e.key === '?') return help();
  if (e.key === 't') return nextTheme();
  if (e.key === '/') {
    e.preventDefault();
    return main.querySelector('input')?.focus();
  }
  current.key?.(e);
});

begin();
