// api.js: the admin API. The token is that of this page: it lives in the session
// storage of the tab, and in the header of requests.
const key = 'tallygate-token';
let token = sessionStorage.getItem(key) || '';

export class Locked extends Error {}

export function setToken(t) {
  token = t;
  if (t) sessionStorage.setItem(key, t);
  else sessionStorage.removeItem(key);
}

// redeem exchanges the code of `tallygate console` for a token.
export async function redeem(code) {
  const r = await fetch('/api/v1/session', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({code})});
  if (!r.ok) throw new Locked((await r.text()).trim());
  setToken((await r.json()).token);
}

const headers = () => (token ? {Authorization: 'Bearer ' + token} : {});

function url(path, params) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params || {})) {
    for (const one of Array.isArray(v) ? v : [v]) if (one !== undefined && one !== '' && one !== null) q.append(k, one);
  }
  const s = q.toString();
  return '/api/v1/' + path + (s ? '?' + s : '');
}

async function fail(r) {
  const text = await r.text();
  if (r.status === 401) throw new Locked(text.trim());
  let message = text.trim();
  try {
    message = JSON.parse(text).error || message;
  } catch { /* plain text */ }
  const e = new Error(message || r.statusText);
  e.status = r.status;
  throw e;
}

export async function get(path, params, signal) {
  const r = await fetch(url(path, params), {headers: headers(), signal});
  if (!r.ok) await fail(r);
  return r.json();
}

// lines calls fn with each JSON line of a stream, until it ends or is aborted.
export async function lines(path, params, signal, fn) {
  const r = await fetch(url(path, params), {headers: headers(), signal});
  if (!r.ok) await fail(r);
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    for (const p of parts) if (p) fn(JSON.parse(p));
  }
}
