// quotas.js: what the quotas let pass, and who is near their end.
import {h, empty} from './dom.js';
import {page, get} from './page.js';
import {count, percent} from './format.js';

export const mount = (main) => page(main, async () => {
  const [quotas, keys] = await Promise.all([get('quotas'), get('quotas/top', {n: 50, by: 'used'}).catch(() => ({answer: []}))]);
  return {quotas, keys};
}, draw);

const limit = (l) => `${count(l.limit)} per ${l.per}` + (l.burst !== l.limit ? `, burst ${count(l.burst)}` : '') + (l.algorithm !== 'gcra' ? `, ${l.algorithm}` : '');
const mark = (used) => (used >= 1 ? 'bad' : used > 0.8 ? 'warn' : '');

function draw({quotas, keys}) {
  const list = quotas.answer || [], top = keys.answer || [];
  if (!list.length) return empty('No quota was charged', 'Quotas are what policies name in their result, or limits of the rate-limit service.', h('code', {}, 'quotas: [{"name": "per-user", "key": …, "limit": 100, "per": "1s"}]'));
  return [
    h('h1', {}, quotas.instance),
    h('section', {class: 'card'}, h('h2', {}, 'Quotas'), h('div', {class: 'scroll'}, h('table', {id: 'quota-table'}, h('thead', {}, h('tr', {}, ['Quota', 'Limit', 'Keys', 'Near the end', 'Passed', 'Over', 'Shadow over', 'Failed'].map((t, i) => h('th', {class: (i > 1 ? 'num' : '') + (i > 5 ? ' wide' : '')}, t)))),
      h('tbody', {}, list.map((q) => h('tr', {}, h('td', {}, q.name), h('td', {}, q.limits.map(limit).join('; ')), h('td', {class: 'num'}, count(q.keys)), h('td', {class: 'num ' + (q.near ? 'warn' : '')}, count(q.near)), h('td', {class: 'num'}, count(q.passed)), h('td', {class: 'num ' + (q.over ? 'warn' : '')}, count(q.over)), h('td', {class: 'num wide'}, count(q.shadow_over)), h('td', {class: 'num wide ' + (q.failed ? 'bad' : '')}, count(q.failed)))))))),
    h('section', {class: 'card'}, h('h2', {}, 'Keys that are nearest to their end'), top.length ? h('div', {class: 'scroll'}, h('table', {id: 'quota-keys'}, h('thead', {}, h('tr', {}, ['Quota', 'Key', 'Used', '', 'Left', 'Full in', 'Over', 'Lease'].map((t, i) => h('th', {class: [2, 4, 5, 6].includes(i) ? 'num' : [3, 7].includes(i) ? 'wide' : ''}, t)))),
      h('tbody', {}, top.map((k) => h('tr', {}, h('td', {}, k.name), h('td', {class: 'mono', title: k.key}, k.key), h('td', {class: 'num ' + mark(k.used)}, percent(k.used) + ' %'),
        h('td', {class: 'wide', style: {width: '120px'}}, h('div', {class: 'meter ' + mark(k.used)}, h('i', {style: {width: Math.min(100, k.used * 100) + '%'}}))),
        h('td', {class: 'num'}, count(k.remaining)), h('td', {class: 'num'}, k.reset), h('td', {class: 'num ' + (k.over ? 'warn' : '')}, count(k.over)), h('td', {class: 'wide muted'}, k.lease ? `${count(k.lease.left)} for ${k.lease.ends}` : '')))))) : h('p', {class: 'muted'}, 'Every key is full.')),
  ];
}
