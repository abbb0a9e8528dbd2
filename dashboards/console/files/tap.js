// tap.js: requests as they come.
import {h, fill, empty, debounce} from './dom.js';
import {Locked, lines} from './api.js';
import {clockMillis, millis, origin, target, statusOf, outcomeClass} from './format.js';
import {store} from './store.js';
import {entryLink, remember} from './panel.js';

const most = 500; // rows that are kept
const choices = {
  outcome: [['', 'Everything'], ['error,denied', 'Errors and denials'], ['error', 'Errors'], ['denied', 'Denied'], ['ok', 'Fine']],
  reporter: [['', 'Both ends'], ['source', 'By the source'], ['destination', 'By the destination']],
};

export function mount(main, route) {
  let rows = [], stop = null, state = 'connecting', missed = {}, heard = new Map(), paused = false, timer, frame = 0, count = 0;
  const fields = {};
  const restart = debounce(() => {
    const q = {};
    for (const [k, f] of Object.entries(fields)) q[k] = f.value.trim() || null;
    store.go('tap', q);
  }, 350);
  const text = (key, title, width) => (fields[key] = h('input', {type: 'text', placeholder: title, 'aria-label': title, id: 'tap-' + key, style: {flexBasis: width}, oninput: restart}));
  const select = (key, title) => (fields[key] = h('select', {'aria-label': title, id: 'tap-' + key, onchange: restart}, choices[key].map(([v, t]) => h('option', {value: v}, t))));
  const pause = h('button', {type: 'button', 'aria-pressed': 'false', title: 'Pause (space)', onclick: () => toggle()}, 'Pause');
  const note = h('span', {class: 'count', role: 'status'});
  const body = h('tbody');
  const waiting = h('div', {});
  const bar = h('div', {class: 'bar'}, select('outcome', 'Outcome'), select('reporter', 'Reporter'), text('from', 'From workload', '130px'), text('to', 'To workload', '130px'),
    text('service', 'Service', '130px'), text('path', 'Path begins with', '130px'), text('code', 'Code, as 5xx', '90px'), text('method', 'Method', '80px'), text('min_duration', 'At least, as 250ms', '120px'), pause,
    h('button', {type: 'button', class: 'quiet', onclick: () => {
      rows = [];
      draw();
    }}, 'Clear'), note);
  main.className = 'fill';
  fill(main, bar, h('div', {class: 'scroll', tabindex: '-1'}, h('table', {id: 'tap-table', 'aria-label': 'Requests'}, h('thead', {}, h('tr', {},
    ['Time', 'Status', 'Took', 'Edge', 'Request', 'Why', 'Reported by', 'Replica'].map((t, i) => h('th', {scope: 'col', class: (i === 2 ? 'num ' : '') + ([5, 6, 7].includes(i) ? 'wide' : '')}, t)))), body), waiting));

  function toggle() {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    pause.textContent = paused ? 'Go on' : 'Pause';
    draw();
  }

  function start(q) {
    stop?.abort();
    clearTimeout(timer);
    const mine = (stop = new AbortController());
    rows = [];
    missed = {};
    heard = new Map();
    state = 'connecting';
    count = 0;
    draw();
    listen(mine, q);
  }

  async function listen(mine, q) {
    const params = {last: 30};
    for (const k of Object.keys(fields)) if (q.get(k)) params[k] = q.get(k);
    if (params.outcome === 'ok') delete params.last;
    try {
      await lines('tap', params, mine.signal, (l) => {
        state = 'live';
        heard.set(l.replica, Date.now());
        if (l.missed) missed[l.replica] = l.missed;
        if (l.entry && !paused) {
          count++;
          rows.unshift(l.entry);
          remember(l.entry);
          if (rows.length > most) rows.length = most;
        }
        schedule();
      });
      state = 'The stream ended. Asking again';
    } catch (e) {
      if (mine.signal.aborted) return;
      if (e instanceof Locked) return store.locked(e.message);
      state = e.message;
      if (e.status === 400) { // the filter: asking again is no help
        draw();
        return;
      }
      state = 'Tallygate does not answer. Asking again';
    }
    draw();
    if (!mine.signal.aborted) timer = setTimeout(() => listen(mine, q), 2000);
  }

  function schedule() {
    if (!frame) frame = requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  }

  function draw() {
    const lost = Object.values(missed).reduce((a, b) => a + b, 0);
    note.className = 'count' + (state === 'live' || state === 'connecting' ? '' : ' bad');
    fill(note, state === 'live' ? [h('i', {class: 'dot' + (paused ? ' idle' : '')}), paused ? 'paused' : `live from ${[...heard.keys()].join(', ')}`, ` · ${count} shown`, lost > 0 && h('span', {class: 'warn'}, ` · ${lost} more passed: narrow the filter`)] : state);
    fill(body, rows.slice(0, 200).map((e) => h('tr', {class: 'link', 'data-entry': e.id, onclick: () => (location.hash = entryLink(e))},
      h('td', {class: 'mono'}, clockMillis(e.time)), h('td', {}, h('span', {class: 'tag ' + outcomeClass(e)}, statusOf(e)), e.flags && h('span', {class: 'muted'}, ' ' + e.flags)), h('td', {class: 'num'}, millis(e.duration_ms)),
      h('td', {class: 'pair'}, h('span', {}, origin(e), ' → ', target(e))), h('td', {class: 'mono', title: e.path}, `${e.method || ''} ${e.path || e.authority || ''}`.trim() || e.protocol),
      h('td', {class: 'wide', title: e.rule || e.code_details}, e.rule || e.code_details || ''), h('td', {class: 'wide muted'}, e.reporter), h('td', {class: 'wide muted'}, e.replica))));
    fill(waiting, !rows.length && empty(state === 'live' ? 'Waiting for a request that passes' : state === 'connecting' ? 'Connecting' : 'Not connected',
      'Requests show as their proxies report them, about a second after they end.'));
  }

  const apply = (r) => {
    for (const [k, f] of Object.entries(fields)) if (document.activeElement !== f) f.value = r.query.get(k) || '';
  };
  let asked = '';
  const filterOf = (r) => Object.keys(fields).map((k) => r.query.get(k) || '').join('\0');
  apply(route);
  asked = filterOf(route);
  start(route.query);
  return {
    route: (r) => {
      apply(r);
      if (filterOf(r) === asked) return;
      asked = filterOf(r);
      start(r.query);
    },
    unmount: () => {
      stop?.abort();
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    },
    key: (e) => {
      if (e.key === ' ') {
        e.preventDefault();
        toggle();
      }
    },
  };
}
