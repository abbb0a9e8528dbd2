// trace.js: the spans of a trace, each where it is in time.
import {h} from './dom.js';
import {millis} from './format.js';

// spansOf makes one list of what the replicas have, callers before whom they call.
// Of a store that they share all have the same.
export function spansOf(answers) {
  const spans = new Map(), children = new Map(), out = [];
  for (const {answer: t} of answers) {
    for (const s of t.spans || []) {
      const tags = new Map((s.tags || []).map((x) => [x.key, x.value])), key = s.spanID + ' ' + (tags.get('span.kind') || '');
      if (!spans.has(key)) spans.set(key, {...s, tags, service: t.processes[s.processID]?.serviceName || ''});
    }
  }
  const all = [...spans.values()].sort((a, b) => a.startTime - b.startTime), ids = new Set(all.map((s) => s.spanID));
  for (const s of all) {
    const parent = (s.references || []).find((r) => r.traceID === s.traceID && r.spanID !== s.spanID && ids.has(r.spanID))?.spanID || '';
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(s);
  }
  const walk = (parent, depth) => {
    const list = children.get(parent) || [];
    children.delete(parent); // two spans of one id: the first has them
    for (const s of list) {
      out.push({...s, depth});
      walk(s.spanID, depth + 1);
    }
  };
  walk('', 0);
  for (const parent of [...children.keys()]) walk(parent, 0); // a circle
  return out;
}

// waterfall draws spans; own is the one that people came from.
export function waterfall(spans, own) {
  const start = Math.min(...spans.map((s) => s.startTime)), end = Math.max(...spans.map((s) => s.startTime + s.duration)), all = Math.max(1, end - start);
  const failed = (s) => [true, 'true'].includes(s.tags.get('error'));
  const tip = (s) => [`${s.service} ${s.operationName}`, `${millis(s.duration / 1000)}, after ${millis((s.startTime - start) / 1000)}`, ...['span.kind', 'http.response.status_code', 'http.status_code', 'otel.status_description', 'policy_rule'].filter((k) => s.tags.has(k)).map((k) => `${k}: ${s.tags.get(k)}`)].join('\n');
  return h('div', {class: 'waterfall', role: 'list', 'aria-label': `${spans.length} spans in ${millis(all / 1000)}`}, spans.map((s) => h('div', {class: 'span' + (failed(s) ? ' failed' : ''), role: 'listitem', title: tip(s), 'aria-current': s.spanID === own ? 'true' : null},
    h('span', {class: 'name', style: {paddingLeft: Math.min(s.depth, 8) * 10 + 'px'}}, s.service, ' ', h('span', {class: 'muted'}, s.operationName)),
    h('span', {class: 'track'}, h('i', {style: {left: ((s.startTime - start) / all) * 100 + '%', width: (s.duration / all) * 100 + '%'}})),
    h('span', {class: 'num'}, millis(s.duration / 1000)))));
}
