// quotas.js: what the quotas let pass, and who is near their end.
import {h, empty} from './dom.js';
import {page, get} from './page.js';
import {count, percent} from './format.js';

export const mount = (main) => page(main, async () => {
  const [quotas, keys] = await Promise.all([get('quotas'), get('quotas/top', {n: 50, by: 'used'})]);
  return {quotas, keys};
}, draw);

const limit = (l) => `${count(l.limit)} per ${l.per}` + (l.burst !== l.limit ? `, burst ${count(l.burst)}` : '') + (l.algorithm !== 'gcra' ? `, ${l.algorithm}` : '');
const mark = (used) => (used >= 1 ? 'bad' : used > 0.8 ? 'warn' : '');

// flat is one list of what the replicas say, each line with who says it.
const flat = (a) => a.answers.flatMap((x) => (x.answer || []).map((v) => ({...v, replica: x.replica})));

function draw({quotas, keys}) {
  const silent = quotas.replicas.filter((r) => r.error).map((r) => h('p', {class: 'bad'}, `${r.name} does not answer: ${r.error}`));
  const list = flat(quotas).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)), top = flat(keys).sort((a, b) => b.used - a.used).slice(0, 100);
  if (!list.length) return [silent, empty('No quota was charged', 'Quotas are what policies name in their result, or limits of the rate-limit service.', h('code', {}, 'quotas: [{"name": "per-user", "key": …, "limit": 100, "per": "1s"}]'))];
  return [
    silent,
    h('section', {class: 'card'}, h('h2', {}, 'Quotas'), h('div', {class: 'scroll'}, h('table', {id: 'quota-table'}, h('thead', {}, h('tr', {}, ['Quota', 'Limit', 'Keys', 'Near the end', 'Passed', 'Over', 'Shadow over', 'Failed', 'Replica'].map((t, i) => h('th', {class: (i > 1 && i < 8 ? 'num' : '') + ([2, 6, 7].includes(i) ? ' wide' : '')}, t)))),
      h('tbody', {}, list.map((q) => h('tr', {}, h('td', {}, q.name), h('td', {}, q.limits.map(limit).join('; ')), h('td', {class: 'num wide'}, count(q.keys)), h('td', {class: 'num ' + (q.near ? 'warn' : '')}, count(q.near)), h('td', {class: 'num'}, count(q.passed)), h('td', {class: 'num ' + (q.over ? 'warn' : '')}, count(q.over)), h('td', {class: 'num wide'}, count(q.shadow_over)), h('td', {class: 'num wide ' + (q.failed ? 'bad' : '')}, count(q.failed)), h('td', {class: 'muted'}, q.replica))))))),
    h('section', {class: 'card'}, h('h2', {}, 'Keys that are nearest to their end'), top.length ? h('div', {class: 'scroll'}, h('table', {id: 'quota-keys'}, h('thead', {}, h('tr', {}, ['Quota', 'Key', 'Used', '', 'Left', 'Full in', 'Over', 'Lease', 'Replica'].map((t, i) => h('th', {class: [2, 4, 5, 6].includes(i) ? 'num' : [3, 7].includes(i) ? 'wide' : ''}, t)))),
      h('tbody', {}, top.map((k) => h('tr', {}, h('td', {}, k.name), h('td', {class: 'mono', title: k.key}, k.key), h('td', {class: 'num ' + mark(k.used)}, percent(k.used) + ' %'),
        h('td', {class: 'wide', style: {width: '120px'}}, h('div', {class: 'meter ' + mark(k.used)}, h('i', {style: {width: Math.min(100, k.used * 100) + '%'}}))),
        h('td', {class: 'num'}, count(k.remaining)), h('td', {class: 'num'}, k.reset), h('td', {class: 'num ' + (k.over ? 'warn' : '')}, count(k.over)), h('td', {class: 'wide muted'}, k.lease ? `${count(k.lease.left)} for ${k.lease.ends}` : ''), h('td', {class: 'muted'}, k.replica)))))) : h('p', {class: 'muted'}, 'Every key is full.')),
  ];
}
