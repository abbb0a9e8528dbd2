// policy.js: which policies are in use, what their decisions rest on and so
// whether they are kept, what they decided, and whom they denied.
import {h, empty} from './dom.js';
import {page, get} from './page.js';
import {ago, bytes, clock, count, millis, percent} from './format.js';
import {figure, facts} from './panel.js';

export const mount = (main) => page(main, () => get('policy'), draw);

function draw(a) {
  if (!a.policies.length) return empty('No policy', 'No replica that answers runs the policy plane.', h('code', {}, 'policy: {paths: [policies/]}'));
  return a.policies.map((p) => [
    h('h1', {}, p.replica),
    h('div', {class: 'cards'}, sources(p), cache(p.decider.cache)),
    h('div', {class: 'cards'}, p.decider.entrypoints.map((e) => entrypoint(e, p))),
    h('div', {class: 'cards'}, rules(p.decider), shadow(p)),
    denials(p),
  ]);
}

function sources(p) {
  const d = p.decider;
  return h('section', {class: 'card'}, h('header', {}, h('h2', {class: 'grow'}, 'Policies in use'), d.generation ? h('span', {class: 'tag good'}, 'generation ' + d.generation) : h('span', {class: 'tag bad'}, 'none is active')),
    (p.sources || []).map((s) => h('div', {}, facts(
      [s.name === 'shadow' ? 'Candidate' : 'Enforced', s.paths ? s.paths.map((x) => h('div', {}, h('code', {}, x))) : s.bundles ? 'bundles' : ''],
      ['Revision', s.revision && h('code', {}, s.revision)], ['Loaded', s.revision && `${ago(s.loaded)}, at ${clock(s.loaded)}`], ['Files', s.files && String(s.files.length)], ['State', s.waiting && 'waiting for a bundle']),
    s.error && h('div', {}, h('p', {class: 'bad'}, 'The latest change is not in use; the last good one stays:'), h('pre', {class: 'bad'}, s.error)))));
}

function cache(c) {
  const asked = c.hits + c.misses + c.stale, ratio = asked ? c.hits / asked : 0, full = c.max_bytes ? c.bytes / c.max_bytes : 0;
  return h('section', {class: 'card'}, h('header', {}, h('h2', {class: 'grow'}, 'Decision cache'), h('span', {class: 'tag ' + (c.enabled ? 'good' : 'warn')}, c.enabled ? 'on' : 'off')),
    h('div', {class: 'figures'}, figure(percent(ratio), '% hits'), figure(count(c.hits), 'hits'), figure(count(c.misses + c.stale), 'misses'), figure(count(c.bypassed), 'not asked'), figure(count(c.joined), 'joined'), figure(count(c.errors), 'not judged', c.errors ? 'bad' : '')),
    h('div', {}, h('div', {class: 'meter' + (full > 0.9 ? ' warn' : ''), role: 'meter', 'aria-label': 'Memory of the cache', 'aria-valuenow': String(Math.round(full * 100)), 'aria-valuemin': '0', 'aria-valuemax': '100'}, h('i', {style: {width: full * 100 + '%'}})),
      h('div', {class: 'chart-foot'}, h('span', {}, `${count(c.entries)} decisions`), h('span', {}, `${bytes(c.bytes)} of ${bytes(c.max_bytes)}`))));
}

function entrypoint(e) {
  const state = e.cacheable ? (e.needs_ttl && !e.ttl_seconds ? ['warn', 'kept only with a TTL'] : ['good', 'kept']) : ['bad', 'not kept'];
  return h('section', {class: 'card entrypoint'}, h('header', {}, h('h2', {class: 'grow'}, e.name), h('span', {class: 'tag ' + state[0]}, state[1])),
    h('div', {class: 'figures'}, figure(count(e.allowed), 'allowed'), figure(count(e.denied), 'denied', e.denied ? 'warn' : ''), e.ttl_seconds > 0 && figure(millis(e.ttl_seconds * 1000), 'stated TTL')),
    e.reason && h('p', {class: e.cacheable ? 'muted' : 'bad'}, e.reason),
    h('div', {}, h('h3', {}, 'Reads'), h('div', {class: 'tags', style: {marginTop: '6px'}}, e.paths.length ? e.paths.map((x) => h('code', {class: 'tag'}, x)) : h('span', {class: 'muted'}, 'nothing of the request'), (e.kinds || []).map((x) => h('code', {class: 'tag', title: 'only whether it is there, and its type'}, x + ' ?')))));
}

function rules(d) {
  return h('section', {class: 'card'}, h('h2', {}, 'What rules decided'), d.rules.length ? h('div', {class: 'scroll'}, h('table', {}, h('thead', {}, h('tr', {}, h('th', {}, 'Rule'), h('th', {}, 'Verdict'), h('th', {class: 'num'}, 'Decisions'))),
    h('tbody', {}, d.rules.slice(0, 50).map((r) => h('tr', {}, h('td', {title: r.rule}, h('code', {}, r.rule)), h('td', {}, h('span', {class: 'tag ' + (r.verdict === 'deny' ? 'warn' : 'good')}, r.verdict)), h('td', {class: 'num'}, count(r.count))))))) : h('p', {class: 'muted'}, 'Nobody has asked yet.'));
}

function shadow(p) {
  const list = p.shadowed || [];
  return h('section', {class: 'card'}, h('header', {}, h('h2', {class: 'grow'}, 'Candidate'), p.decider.shadow ? h('code', {class: 'tag'}, p.decider.shadow) : h('span', {class: 'tag'}, 'none')),
    !p.decider.shadow ? h('p', {class: 'muted'}, 'policy.shadow.paths judges live traffic by another policy, without enforcing it.')
      : !list.length ? h('p', {class: 'muted'}, 'It has judged nothing differently.')
        : h('div', {class: 'list'}, list.slice(0, 30).map((x, i) => h('details', {'data-key': 'shadow' + i}, h('summary', {}, `${x.enforced} → ${x.shadow} `, h('code', {}, x.shadow_rule || ''), h('span', {class: 'muted'}, ' ' + ago(x.time))), h('pre', {}, JSON.stringify(x, null, 2))))));
}

function denials(p) {
  const list = p.decider.denials || [];
  return h('section', {class: 'card', id: 'denials'}, h('h2', {}, 'Last denials'), list.length ? h('div', {class: 'list'}, list.slice(0, 50).map((r) => h('details', {'data-key': r.decision_id},
    h('summary', {class: 'row'}, h('span', {class: 'muted nowrap'}, ago(r.time)), ' ', h('code', {}, r.rule || '(no rule)'), ' ', h('span', {class: 'grow'}, requestOf(r)), r.reason && h('span', {class: 'muted'}, ' · ' + r.reason), r.cache_hit && h('span', {class: 'tag'}, 'from the cache')),
    facts(['Entrypoint', r.entrypoint], ['Listener', r.listener], ['Revision', h('code', {}, r.revision)], ['Decision', h('code', {}, r.decision_id)], ['Trace', r.trace_id && h('code', {}, r.trace_id)], ['Took', millis(r.duration_us / 1000)]),
    r.input && h('pre', {}, JSON.stringify(r.input, null, 2))))) : h('p', {class: 'muted'}, 'Nobody was denied.'));
}

function requestOf(r) {
  const http = r.input?.attributes?.request?.http;
  return http ? `${http.method || ''} ${http.host || ''}${http.path || ''}` : '';
}
