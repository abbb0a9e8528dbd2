// graph.js: who calls whom, drawn on a canvas; the table of edges is the same for
// who cannot see it.
import {h, fill, empty, busy, debounce} from './dom.js';
import {rate, percent, millis, bytes, origin, target, severity} from './format.js';
import {store} from './store.js';
import {matches, words} from './edges.js';
import {W, H, layout, nodesOf} from './layout.js';

export function mount(main, route) {
  let nodes = [], links = [], signature = '', view = {x: 0, y: 0, k: 1}, moved = false, frame = 0;
  let hover = null, chosen = route.query.get('node'), colours = {}, paths = null;
  const stats = {frames: 0, total: 0, worst: 0};
  const filter = h('input', {type: 'search', placeholder: 'Filter by name', 'aria-label': 'Filter the graph by name', oninput: debounce(() => refresh(true), 150)});
  const worst = h('div', {class: 'worst', 'aria-label': 'Worst edges'});
  const count = h('span', {class: 'count'});
  const canvas = h('canvas', {tabindex: '0', role: 'img', 'aria-label': 'Service graph. The same is in the table of edges.'});
  const tip = h('div', {class: 'tip', hidden: true});
  const zoom = (by) => () => scale(by, canvas.clientWidth / 2, canvas.clientHeight / 2);
  const box = h('div', {class: 'graph'}, canvas, tip,
    h('div', {class: 'legend'}, h('span', {}, h('i'), 'width: rate'), h('span', {}, h('i', {class: 'warn'}), 'denied or some errors'), h('span', {}, h('i', {class: 'bad'}), '5 % errors or more')),
    h('div', {class: 'zoom'},
      h('button', {type: 'button', 'aria-label': 'Nearer', onclick: zoom(1.3)}, '+'),
      h('button', {type: 'button', 'aria-label': 'Farther', onclick: zoom(1 / 1.3)}, '−'),
      h('button', {type: 'button', 'aria-label': 'All of it', title: 'All of it (0)', onclick: () => refit()}, '⤢')));
  const note = h('div', {hidden: true});
  main.className = 'fill';
  fill(main, h('div', {class: 'bar'}, filter, worst, count), box, note);
  const ctx = canvas.getContext('2d');

  function refresh(filtered) {
    const all = store.edges?.edges || [], w = words(filter.value);
    const list = w.length ? all.filter((e) => matches(e, w)) : all;
    ({nodes, links} = nodesOf(list, origin, target));
    const now = nodes.map((n) => n.id).sort().join('\n') + '\0' + links.map((l) => l.key).sort().join('\n');
    if (now !== signature) {
      layout(nodes);
      places.clear();
      for (const n of nodes) places.set(n.id, n);
      signature = now;
      if (filtered) refit();
      else settle();
    } else {
      for (const n of nodes) {
        const old = places.get(n.id);
        [n.x, n.y] = [old.x, old.y];
        places.set(n.id, n);
      }
    }
    note.hidden = nodes.length > 0;
    box.hidden = !note.hidden;
    if (!store.edges) fill(note, busy('Asking who calls whom'));
    else if (!all.length) fill(note, empty('Nobody called anybody', 'No request was reported in this time. Is a proxy connected?', h('a', {href: '#/proxies'}, 'See the proxies')));
    else if (!nodes.length) fill(note, empty('Nothing passes the filter'));
    count.textContent = `${nodes.length} services, ${list.length} edges`;
    const bad = list.filter((e) => severity(e)).sort((a, b) => (b.error_rate || 0) + (b.denied_rate || 0) - (a.error_rate || 0) - (a.denied_rate || 0)).slice(0, 6);
    fill(worst, bad.map((e) => h('button', {type: 'button', class: 'chip ' + severity(e), 'data-edge': e.id, onclick: () => store.go('graph', {edge: e.id})},
      origin(e) + ' → ' + target(e), h('b', {}, e.errors ? percent(e.error_ratio) + ' %' : rate(e.denied_rate) + ' denied/s'))));
    paths = null;
    draw();
  }
  const places = new Map();

  function theme() {
    const s = getComputedStyle(document.documentElement), probe = h('i');
    document.body.append(probe);
    for (const c of ['bg', 'surface', 'line', 'text', 'muted', 'accent', 'accent-soft', 'bad', 'bad-soft', 'warn', 'warn-soft']) {
      probe.style.color = `var(--${c})`;
      colours[c] = getComputedStyle(probe).color;
    }
    colours.font = s.fontFamily;
    probe.remove();
  }

  function fit() {
    const box = canvas.getBoundingClientRect();
    if (!nodes.length || !box.width) return;
    const x1 = Math.max(...nodes.map((n) => n.x)) + W, y1 = Math.max(...nodes.map((n) => n.y)) + H, y0 = Math.min(...nodes.map((n) => n.y));
    const k = Math.min(1.15, (box.width - 48) / x1, (box.height - 64) / (y1 - y0 + 1));
    view = {k, x: (box.width - x1 * k) / 2, y: (box.height - (y1 + y0) * k) / 2};
    draw();
  }

  // settle shows all of it, until somebody has chosen what to look at.
  const settle = () => (moved ? draw() : fit());
  function refit() {
    moved = false;
    fit();
  }

  function scale(by, cx, cy) {
    moved = true;
    const k = Math.min(3, Math.max(0.04, view.k * by));
    view = {k, x: cx - ((cx - view.x) * k) / view.k, y: cy - ((cy - view.y) * k) / view.k};
    draw();
  }

  function curve(p, l) {
    const x1 = l.a.x + W, y1 = l.a.y + H / 2, x2 = l.b.x, y2 = l.b.y + H / 2;
    p.moveTo(x1, y1);
    if (l.a === l.b) p.bezierCurveTo(x1 + 40, y1 - 50, x2 - 40, y2 - 50, x2, y2);
    else if (x2 > x1) p.bezierCurveTo(x1 + (x2 - x1) * 0.45, y1, x2 - (x2 - x1) * 0.45, y2, x2, y2);
    else p.bezierCurveTo(x1 + 90, y1 + 70, x2 - 90, y2 + 70, x2, y2);
  }
  const weight = (l) => Math.min(5, 1 + Math.log10(1 + l.rate + l.tcp / 1e4));

  // Links of one colour and width are one path: thousands are a few strokes.
  function build() {
    theme();
    paths = new Map();
    for (const l of links) {
      l.severity = severity({error_ratio: l.requests ? l.errors / l.requests : 0, errors: l.errors, denied: l.denied});
      const key = l.severity + ':' + Math.round(weight(l));
      if (!paths.has(key)) paths.set(key, {severity: l.severity, width: Math.round(weight(l)), path: new Path2D()});
      curve(paths.get(key).path, l);
    }
    paths = [...paths.values()].sort((a, b) => (a.severity ? 1 : 0) - (b.severity ? 1 : 0));
  }

  const active = () => (hover?.in ? hover : places.get(chosen)) || null;

  function paint() {
    const began = performance.now();
    const ratio = devicePixelRatio || 1, cw = canvas.clientWidth, ch = canvas.clientHeight;
    if (canvas.width !== Math.round(cw * ratio) || canvas.height !== Math.round(ch * ratio)) {
      canvas.width = Math.round(cw * ratio);
      canvas.height = Math.round(ch * ratio);
    }
    if (!paths) build();
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, cw, ch);
    ctx.setTransform(ratio * view.k, 0, 0, ratio * view.k, ratio * view.x, ratio * view.y);
    const focus = active(), many = links.length > 400;
    const near = new Set(focus ? [focus, ...focus.in.map((l) => l.a), ...focus.out.map((l) => l.b)] : []);
    for (const p of paths) {
      ctx.globalAlpha = focus ? 0.08 : p.severity ? 0.9 : many ? 0.28 : 0.6;
      ctx.strokeStyle = colours[p.severity || 'muted'];
      ctx.lineWidth = Math.max(p.width, 0.6 / view.k);
      ctx.stroke(p.path);
    }
    ctx.globalAlpha = 1;
    const mine = focus ? [...focus.in, ...focus.out] : hover?.edges ? [hover] : [];
    for (const l of mine) {
      const p = new Path2D();
      curve(p, l);
      ctx.strokeStyle = colours[l.severity || 'accent'];
      ctx.lineWidth = Math.max(weight(l) + 0.5, 1.2 / view.k);
      ctx.stroke(p);
    }
    drawNodes(cw, ch, focus, near);
    if (view.k > 0.55) for (const l of focus ? mine : links.length <= 60 ? links : mine) label(l);
    const took = performance.now() - began;
    stats.frames++;
    stats.total += took;
    stats.worst = Math.max(stats.worst, took);
  }

  function drawNodes(cw, ch, focus, near) {
    const left = -view.x / view.k, topEdge = -view.y / view.k, right = left + cw / view.k, bottom = topEdge + ch / view.k;
    for (const n of nodes) {
      if (n.x + W < left || n.x > right || n.y + H < topEdge || n.y > bottom) continue;
      const s = severity({error_ratio: n.requests ? n.errors / n.requests : 0, errors: n.errors, denied: n.denied});
      ctx.globalAlpha = focus && !near.has(n) ? 0.25 : 1;
      ctx.fillStyle = colours[n.id === chosen ? 'accent-soft' : 'surface'];
      ctx.strokeStyle = colours[n.id === chosen ? 'accent' : s || 'line'];
      ctx.lineWidth = n === hover || n.id === chosen ? 2 : 1;
      ctx.beginPath();
      if (view.k < 0.18) ctx.rect(n.x, n.y, W, H);
      else ctx.roundRect(n.x, n.y, W, H, 7);
      ctx.fill();
      ctx.stroke();
      if (s) {
        ctx.fillStyle = colours[s];
        ctx.fillRect(n.x, n.y + 8, 3, H - 16);
      }
      if (view.k < 0.3) continue;
      const dot = n.id.indexOf('.'), first = dot > 0 ? n.id.slice(0, dot) : n.id, second = dot > 0 ? n.id.slice(dot + 1) : '';
      ctx.fillStyle = colours.text;
      ctx.font = `600 13px ${colours.font}`;
      ctx.fillText(cut(first, 20), n.x + 12, n.y + (second || n.rate ? 20 : 28), W - 20);
      ctx.font = `11px ${colours.font}`;
      ctx.fillStyle = colours.muted;
      ctx.fillText(cut(second, 16), n.x + 12, n.y + 36, 86);
      if (!n.in.length) continue;
      ctx.textAlign = 'right';
      ctx.fillStyle = colours[s || 'muted'];
      ctx.fillText(rate(n.rate) + '/s' + (n.errors ? '  ' + percent(n.errors / n.requests) + ' %' : ''), n.x + W - 10, n.y + 36);
      ctx.textAlign = 'left';
    }
    ctx.globalAlpha = 1;
  }
  const cut = (s, n) => (s.length > n ? s.slice(0, n - 1) + '…' : s);
  const summary = (l) => (l.requests || !l.tcp ? `${rate(l.rate)}/s` + (l.errors ? ` · ${percent(l.errors / l.requests)} %` : '') + (l.denied ? ` · ${l.denied} denied` : '') + ` · ${millis(l.p95)}` : bytes(l.tcp) + '/s');

  // label says rate, errors and latency at the middle of a link.
  function label(l) {
    const text = summary(l), x = (l.a.x + W + l.b.x) / 2, back = l.b.x <= l.a.x + W, y = (l.a.y + l.b.y + H) / 2 + (back ? 52 : 0);
    ctx.font = `11px ${colours.font}`;
    ctx.textAlign = 'center';
    const w = ctx.measureText(text).width + 10;
    ctx.fillStyle = colours.bg;
    ctx.globalAlpha = 0.9;
    ctx.fillRect(x - w / 2, y - 9, w, 17);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colours[l.severity || 'muted'];
    ctx.fillText(text, x, y + 4);
    ctx.textAlign = 'left';
  }

  function draw() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(paint);
  }

  function at(ev) {
    const b = canvas.getBoundingClientRect(), sx = ev.clientX - b.left, sy = ev.clientY - b.top;
    const x = (sx - view.x) / view.k, y = (sy - view.y) / view.k;
    const node = nodes.find((n) => x >= n.x && x <= n.x + W && y >= n.y && y <= n.y + H);
    if (node || !links.length) return {sx, sy, hit: node || null};
    const f = active();
    const candidates = links.length <= 300 ? links : f ? [...f.in, ...f.out] : [];
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.lineWidth = 10 / view.k;
    const hit = candidates.find((l) => {
      const p = new Path2D();
      curve(p, l);
      return ctx.isPointInStroke(p, x, y) || (view.k > 0.55 && Math.abs(x - (l.a.x + W + l.b.x) / 2) < 45 && Math.abs(y - (l.a.y + l.b.y + H) / 2) < 9);
    });
    ctx.restore();
    return {sx, sy, hit: hit || null};
  }

  function showTip({sx, sy, hit}) {
    tip.hidden = !hit;
    if (!hit) return;
    if (hit.edges) fill(tip, h('b', {}, `${hit.a.id} → ${hit.b.id}`), h('br'), summary(hit));
    else fill(tip, h('b', {}, hit.id), h('br'), `${hit.in.length} callers, calls ${hit.out.length}`, hit.in.length > 0 && [h('br'), `${rate(hit.rate)}/s, ${percent(hit.requests ? hit.errors / hit.requests : 0)} % errors, p95 ${millis(hit.p95)}`]);
    tip.style.left = Math.min(sx + 14, box.clientWidth - 240) + 'px';
    tip.style.top = Math.min(sy + 14, box.clientHeight - 70) + 'px';
  }

  let drag = null, way = 0;
  const fingers = new Map();
  canvas.onpointerdown = (e) => {
    canvas.setPointerCapture(e.pointerId);
    fingers.set(e.pointerId, e);
    drag = {x: e.clientX, y: e.clientY};
    way = 0;
  };
  canvas.onpointermove = (e) => {
    if (fingers.size === 2 && fingers.has(e.pointerId)) {
      const [other] = [...fingers.values()].filter((f) => f.pointerId !== e.pointerId), old = fingers.get(e.pointerId);
      const far = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY), b = canvas.getBoundingClientRect();
      scale(far(e) / Math.max(far(old), 1), (e.clientX + other.clientX) / 2 - b.left, (e.clientY + other.clientY) / 2 - b.top);
      fingers.set(e.pointerId, e);
      way = 99;
      return;
    }
    if (drag && fingers.size) {
      moved = true;
      way += Math.abs(e.clientX - drag.x) + Math.abs(e.clientY - drag.y);
      view.x += e.clientX - drag.x;
      view.y += e.clientY - drag.y;
      drag = {x: e.clientX, y: e.clientY};
      return draw();
    }
    const found = at(e);
    showTip(found);
    canvas.style.cursor = found.hit ? 'pointer' : '';
    if (found.hit !== hover) {
      hover = found.hit;
      draw();
    }
  };
  canvas.onpointerup = (e) => {
    fingers.delete(e.pointerId);
    drag = null;
    if (way > 6) return;
    const {hit} = at(e);
    if (!hit) store.go('graph', {});
    else if (!hit.edges) store.go('graph', {node: hit.id});
    else if (hit.edges.length === 1) store.go('graph', {edge: hit.edges[0].id});
    else store.go('graph', {node: hit.b.id});
  };
  canvas.onpointercancel = (e) => fingers.delete(e.pointerId);
  canvas.onpointerleave = () => {
    hover = null;
    tip.hidden = true;
    draw();
  };
  canvas.addEventListener('wheel', (e) => {
    e.preventDefault();
    const b = canvas.getBoundingClientRect();
    scale(Math.exp(-e.deltaY * (e.ctrlKey ? 0.01 : 0.0015)), e.clientX - b.left, e.clientY - b.top);
  }, {passive: false});
  const resized = new ResizeObserver(settle);
  resized.observe(canvas);
  refresh();
  // For tests and the curious: how long frames take, where a node is, and how many
  // are to be seen.
  window.tallygateGraph = {stats, paint, pan: (dx, dy) => {
    view.x += dx;
    view.y += dy;
  }, seen: () => nodes.filter((n) => {
    const x = view.x + n.x * view.k, y = view.y + n.y * view.k;
    return x >= 0 && y >= 0 && x + W * view.k <= canvas.clientWidth && y + H * view.k <= canvas.clientHeight;
  }).length, place: (id) => {
    const n = places.get(id), b = canvas.getBoundingClientRect();
    return n && {x: b.left + view.x + (n.x + W / 2) * view.k, y: b.top + view.y + (n.y + H / 2) * view.k};
  }};

  return {
    update: () => refresh(),
    route: (r) => {
      chosen = r.query.get('node');
      draw();
    },
    unmount: () => {
      resized.disconnect();
      delete window.tallygateGraph;
    },
    key: (e) => {
      const list = [...nodes].sort((a, b) => a.x - b.x || a.y - b.y), i = list.findIndex((n) => n.id === chosen);
      if (e.key === '0') refit();
      else if (e.key === '+' || e.key === '=') zoom(1.3)();
      else if (e.key === '-') zoom(1 / 1.3)();
      else if ('jk'.includes(e.key) || e.key === 'ArrowDown' || e.key === 'ArrowUp') {
        const n = list[Math.min(Math.max(i + (e.key === 'j' || e.key === 'ArrowDown' ? 1 : -1), 0), list.length - 1)];
        if (n) store.go('graph', {node: n.id});
      }
    },
  };
}
