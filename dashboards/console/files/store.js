// store.js: what several views show, asked for once.
import {Locked, get} from './api.js';

export const store = {
  since: localStorage.getItem('tallygate-since') || '15s',
  edges: null, // the answer of /edges
  at: null, // when it came
  error: '',
  peers: null,
  listeners: new Set(),
};

// Figures change every five seconds: that is the step of the history.
const every = 5000;
let timer, running;

// poll asks now, and again while the page is looked at.
export async function poll() {
  clearTimeout(timer);
  running?.abort();
  const mine = (running = new AbortController());
  const patience = setTimeout(() => mine.abort(), 15000);
  try {
    store.edges = await get('edges', {since: store.since}, mine.signal);
    store.at = new Date();
    store.error = '';
  } catch (e) {
    if (running !== mine) return; // asked anew
    if (e instanceof Locked) return store.locked(e.message);
    store.error = e.status ? e.message : 'Tallygate does not answer';
  } finally {
    clearTimeout(patience);
  }
  if (running !== mine) return;
  for (const f of store.listeners) f();
  if (!document.hidden) timer = setTimeout(poll, store.error ? 2000 : every);
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer);
  if (!document.hidden && store.peers) poll();
});

// histories are lines of the last hour by edge, and when they were asked for.
const histories = new Map();
const fresh = 60000;

export const historyOf = (id) => histories.get(id);

// loadHistories asks for those that are missing or old, and tells done.
export async function loadHistories(ids, done) {
  const now = Date.now();
  const want = ids.filter((id) => !(histories.get(id)?.at > now - fresh)).slice(0, 60);
  if (!want.length) return;
  for (const id of want) histories.set(id, {...histories.get(id), at: now});
  try {
    const a = await get('history', {by: 'edge', since: '1h', edge: want});
    for (const s of a.series) histories.set(s.id, {at: now, times: a.times, step: a.step_seconds, ...s});
    done();
  } catch (e) {
    for (const id of want) histories.delete(id);
    if (e instanceof Locked) store.locked(e.message);
  }
  if (histories.size > 2000) for (const id of [...histories.keys()].slice(0, 1000)) histories.delete(id);
}
