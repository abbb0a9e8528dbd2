// spark.js: lines of the last hour.
import {h} from './dom.js';
import {clock, millis, rate} from './format.js';

const top = (list) => list.reduce((m, v) => Math.max(m, v || 0), 0);

function line(values, w, height, max) {
  let d = '', pen = 'M';
  values.forEach((v, i) => {
    if (v === null) {
      pen = 'M';
      return;
    }
    d += pen + ((i / Math.max(values.length - 1, 1)) * w).toFixed(1) + ' ' + (height - ((v || 0) / (max || 1)) * height).toFixed(1);
    pen = 'L';
  });
  return d;
}

function area(values, w, height, max) {
  let d = '';
  const step = w / Math.max(values.length - 1, 1);
  values.forEach((v, i) => {
    if (!v) return;
    const y = (v / (max || 1)) * height;
    d += `M${(i * step - step / 2).toFixed(1)} ${height}v${(-Math.max(y, 1)).toFixed(1)}h${step.toFixed(1)}V${height}z`;
  });
  return d;
}

// hour is as wide as an hour, also where less of it is known.
const hour = (values) => [...Array(Math.max(0, 60 - values.length)).fill(null), ...values];

// spark is a line for a table: the rate, and below it what failed.
export function spark(s) {
  const svg = h('svg', {class: 'spark', viewBox: '0 0 110 22', 'aria-hidden': 'true'});
  if (!s?.rate) return svg;
  const max = top(s.rate);
  svg.append(
    h('path', {class: 'deny', d: area(hour(s.denied), 110, 20, max)}),
    h('path', {class: 'fail', d: area(hour(s.errors), 110, 20, max)}),
    h('path', {class: 'rate', d: line(hour(s.rate), 110, 20, max)}));
  return svg;
}

// charts are the rate and the latency of the last hour.
export function charts(s) {
  if (!s?.rate) return h('p', {class: 'muted'}, 'Nothing is known of the last hour yet.');
  const chart = (values, fails, denials, max, title, foot) => h('div', {},
    h('svg', {class: 'chart', viewBox: '0 0 400 80', preserveAspectRatio: 'none', role: 'img', 'aria-label': title},
      h('line', {class: 'base', x1: 0, x2: 400, y1: 80, y2: 80}),
      h('path', {class: 'area', d: area(hour(values), 400, 80, max)}),
      denials && h('path', {class: 'deny', d: area(hour(denials), 400, 80, max)}),
      fails && h('path', {class: 'fail', d: area(hour(fails), 400, 80, max)}),
      h('path', {class: 'line', d: line(hour(values), 400, 80, max)})),
    h('div', {class: 'chart-foot'}, h('span', {}, clock(new Date(s.times[s.times.length - 1]) - 59 * 60000)), h('span', {}, foot), h('span', {}, clock(s.times[s.times.length - 1]))));
  const most = top(s.rate), slow = top(s.p95_ms);
  return h('div', {style: {display: 'grid', gap: '10px'}},
    chart(s.rate, s.errors, s.denied, most, 'Requests per second in the last hour', 'requests/s, at most ' + rate(most)),
    chart(s.p95_ms, null, null, slow, '95th percentile of the duration in the last hour', 'p95, at most ' + millis(slow)));
}
