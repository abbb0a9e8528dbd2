// edges.js: the table of edges. Only the rows on the screen exist.
import {h, fill, empty, busy, debounce} from './dom.js';
import {rate, percent, millis, bytes, origin, target, serviceOf, severity, known} from './format.js';
import {store, historyOf, loadHistories} from './store.js';
import {spark} from './spark.js';

const name = (text, ns) => (known(text) ? [text, known(ns) && h('span', {class: 'ns'}, ns)] : h('span', {class: 'muted'}, 'unknown'));

const columns = [
  {id: 'from', title: 'From', text: true, sort: origin, cell: (e) => name(e.source, e.source_namespace)},
  {id: 'to', title: 'To', text: true, sort: target, cell: (e) => name(e.destination, e.destination_namespace)},
  {id: 'service', title: 'Service', text: true, wide: true, sort: serviceOf, cell: (e) => serviceOf(e)},
  {id: 'protocol', title: 'Protocol', text: true, wide: true, sort: (e) => e.protocol, cell: (e) => e.protocol},
  {id: 'rate', title: 'Rate/s', sort: (e) => e.rate + (e.tcp_bytes_per_second || 0) * 1e-9, cell: (e) => (e.protocol === 'tcp' ? bytes(e.tcp_bytes_per_second) : rate(e.rate))},
  {id: 'errors', title: 'Errors %', sort: (e) => e.error_rate || 0, cell: (e) => percent(e.error_ratio), mark: (e) => (severity({error_ratio: e.error_ratio, errors: e.errors}))},
  {id: 'denied', title: 'Denied/s', wide: true, sort: (e) => e.denied_rate || 0, cell: (e) => rate(e.denied_rate), mark: (e) => (e.denied ? 'warn' : '')},
  {id: 'p50', title: 'p50', wide: true, sort: (e) => e.p50_ms || 0, cell: (e) => millis(e.p50_ms)},
  {id: 'p95', title: 'p95', sort: (e) => e.p95_ms || 0, cell: (e) => millis(e.p95_ms)},
  {id: 'p99', title: 'p99', wide: true, sort: (e) => e.p99_ms || 0, cell: (e) => millis(e.p99_ms)},
  {id: 'hour', title: 'Last hour', text: true, wide: true, cell: (e) => spark(historyOf(e.id))},
];
const narrow = matchMedia('(max-width: 760px)');

export function matches(e, words) {
  const text = (origin(e) + ' ' + target(e) + ' ' + e.service + ' ' + e.protocol).toLowerCase();
  return words.every((w) => text.includes(w));
}
export const words = (s) => (s || '').toLowerCase().split(/\s+/).filter(Boolean);

export function mount(main, route) {
  let by = route.query.get('sort') || 'rate', up = route.query.get('up') === '1', only = route.query.get('only') || '';
  let list = [], selected = route.query.get('edge') || '', frame = 0;
  const filter = h('input', {type: 'search', placeholder: 'Filter by name', 'aria-label': 'Filter edges by name', value: route.query.get('q') || '', oninput: debounce(() => refresh(true), 80)});
  const toggle = (id, title) => h('button', {type: 'button', 'aria-pressed': 'false', 'data-only': id, onclick: () => {
    only = only === id ? '' : id;
    refresh(true);
  }}, title);
  const count = h('span', {class: 'count'});
  const bar = h('div', {class: 'bar'}, filter, toggle('failing', 'Failing'), toggle('denied', 'Denied'), count);
  const head = h('tr'), body = h('tbody');
  const scroll = h('div', {class: 'scroll', tabindex: '-1'}, h('table', {id: 'edge-table', 'aria-label': 'Edges'}, h('thead', {}, head), body));
  const note = h('div', {class: 'scroll', hidden: true});
  main.className = 'fill';
  fill(main, bar, scroll, note);

  const shown = () => (narrow.matches ? columns.filter((c) => !c.wide && c.id !== 'from' && c.id !== 'to') : columns);
  const height = () => (narrow.matches ? 48 : 34);

  function heads() {
    const th = (c) => h('th', {class: c.text ? '' : 'num', scope: 'col', 'aria-sort': by === c.id ? (up ? 'ascending' : 'descending') : null},
      c.sort ? h('button', {type: 'button', 'data-sort': c.id, onclick: () => {
        up = by === c.id ? !up : !!c.text;
        by = c.id;
        refresh(true);
      }}, c.title) : c.title);
    fill(head, narrow.matches && th({id: 'from', title: 'Edge', text: true, sort: origin}), shown().map(th));
    for (const b of bar.querySelectorAll('[data-only]')) b.setAttribute('aria-pressed', String(only === b.dataset.only));
  }

  function refresh(fromTop) {
    const w = words(filter.value);
    list = (store.edges?.edges || []).filter((e) => matches(e, w) && (only !== 'failing' || e.errors) && (only !== 'denied' || e.denied));
    const c = columns.find((c) => c.id === by) || columns[4];
    list.sort((a, b) => {
      const x = c.sort(a), y = c.sort(b);
      const order = x < y ? -1 : x > y ? 1 : 0;
      return (up ? order : -order) || (a.id < b.id ? -1 : 1);
    });
    if (fromTop) scroll.scrollTop = 0;
    heads();
    const all = store.edges?.edges.length || 0;
    count.textContent = list.length === all ? `${all} edges` : `${list.length} of ${all} edges`;
    note.hidden = list.length > 0;
    scroll.hidden = !note.hidden;
    if (!store.edges) fill(note, busy('Asking who calls whom'));
    else if (!all) fill(note, empty('Nobody called anybody', 'No request was reported in this time. Is a proxy connected?', h('a', {href: '#/proxies'}, 'See the proxies')));
    else if (!list.length) fill(note, empty('No edge passes the filter', 'Take something out of it, or choose a longer time.'));
    draw();
  }

  const sparks = debounce(() => loadHistories(visible().map((e) => e.id), draw), 250);
  function range() {
    const rows = Math.ceil(scroll.clientHeight / height()) + 6;
    const first = Math.max(0, Math.floor(scroll.scrollTop / height()) - 3);
    return [first, Math.min(list.length, first + rows)];
  }
  const visible = () => list.slice(...range());

  function draw() {
    const [first, last] = range(), cols = shown(), span = String(cols.length + 1);
    const space = (n) => h('tr', {'aria-hidden': 'true'}, h('td', {colspan: span, style: {height: n * height() + 'px', padding: 0, border: 0}}));
    const pair = (e) => narrow.matches && h('td', {class: 'pair'}, h('span', {}, origin(e)), h('span', {class: 'muted'}, '→ ' + target(e)));
    fill(body, first > 0 && space(first), list.slice(first, last).map((e) => h('tr', {'data-id': e.id, 'aria-selected': String(e.id === selected)},
      pair(e), cols.map((c) => h('td', {class: (c.text ? '' : 'num') + ' ' + (c.mark?.(e) || ''), title: c.text && c.id !== 'hour' ? (c.id === 'service' ? e.service : c.sort(e)) : null}, c.cell(e))))),
    last < list.length && space(list.length - last));
    if (!narrow.matches && list.length) sparks();
  }

  scroll.addEventListener('scroll', () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  body.addEventListener('click', (ev) => {
    const id = ev.target.closest('tr[data-id]')?.dataset.id;
    if (id) store.go('edges', {edge: id, entry: null, replica: null}, true);
  });
  const resized = new ResizeObserver(() => draw());
  resized.observe(scroll);
  const layout = () => refresh();
  narrow.addEventListener('change', layout);
  refresh();

  return {
    update: () => refresh(),
    route: (r) => {
      selected = r.query.get('edge') || '';
      draw();
    },
    unmount: () => {
      resized.disconnect();
      narrow.removeEventListener('change', layout);
    },
    key: (e) => {
      const i = list.findIndex((x) => x.id === selected);
      if (e.key === 'j' || e.key === 'ArrowDown' || e.key === 'k' || e.key === 'ArrowUp') {
        e.preventDefault();
        const n = Math.min(Math.max(i + (e.key === 'j' || e.key === 'ArrowDown' ? 1 : -1), 0), list.length - 1);
        selected = list[n]?.id || '';
        const at = n * height();
        if (at < scroll.scrollTop) scroll.scrollTop = at;
        else if (at > scroll.scrollTop + scroll.clientHeight - 3 * height()) scroll.scrollTop = at - scroll.clientHeight + 3 * height();
        draw();
      } else if (e.key === 'Enter' && selected) {
        store.go('edges', {edge: selected, entry: null, replica: null}, true);
      }
    },
  };
}
