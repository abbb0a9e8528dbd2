// format.js: how figures look, everywhere the same.
export function rate(r) {
  if (!r) return '0';
  if (r < 10) return r.toFixed(2);
  if (r < 1000) return r.toFixed(1);
  if (r < 1e6) return (r / 1e3).toFixed(1) + 'k';
  return (r / 1e6).toFixed(1) + 'M';
}

export const percent = (x) => ((x || 0) * 100).toFixed(1);

export function millis(ms) {
  if (!ms) return '–';
  if (ms < 10) return ms.toFixed(1) + ' ms';
  if (ms < 10000) return ms.toFixed(0) + ' ms';
  return (ms / 1000).toFixed(1) + ' s';
}

export function bytes(b) {
  b = b || 0;
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (b < 1000) return Number(b.toPrecision(3)) + ' ' + unit;
    b /= 1000;
  }
  return Number(b.toPrecision(3)) + ' TB';
}

export const count = (n) => Math.round(n || 0).toLocaleString('en').replaceAll(',', '\u202f');

export function ago(time, now = Date.now()) {
  const s = Math.max(0, Math.round((now - new Date(time)) / 1000));
  if (new Date(time).getFullYear() < 1980) return 'never';
  if (s < 60) return s + ' s ago';
  if (s < 3600) return Math.floor(s / 60) + ' min ago';
  if (s < 86400) return Math.floor(s / 3600) + ' h ago';
  return Math.floor(s / 86400) + ' d ago';
}

export const clock = (time) => {
  const d = new Date(time), p = (n, w = 2) => String(n).padStart(w, '0');
  return `${p(d.getHours())}:${p(d.getMinutes())}:${p(d.getSeconds())}`;
};
export const clockMillis = (time) => clock(time) + '.' + String(new Date(time).getMilliseconds()).padStart(3, '0');

// severity of figures: bad, warn or nothing.
export function severity(f) {
  if ((f.error_ratio || 0) >= 0.05 && (f.errors || 0) > 0) return 'bad';
  if ((f.error_ratio || 0) > 0.005 || (f.denied || 0) > 0) return 'warn';
  return '';
}

export const known = (s) => s && s !== 'unknown';
export const workload = (name, ns) => (known(name) ? name + (known(ns) ? '.' + ns : '') : '(unknown)');

// target is whom an edge calls: the workload, or where that is unknown the
// service.
export function target(e) {
  if (known(e.destination)) return workload(e.destination, e.destination_namespace);
  if (known(e.service_name)) return workload(e.service_name, e.service_namespace);
  return known(e.service) ? e.service : '(unknown)';
}
export const origin = (e) => workload(e.source, e.source_namespace);
export const serviceOf = (e) => (known(e.service_name) ? workload(e.service_name, e.service_namespace) : e.service || '');

export function statusOf(e) {
  let s = e.code ? String(e.code) : e.protocol === 'tcp' ? 'tcp' : 'no answer';
  if (e.grpc_status !== undefined && e.grpc_status !== null) s += ' / ' + e.grpc_status;
  return s;
}
export const outcomeClass = (e) => ({error: 'bad', denied: 'warn', ok: 'good'})[e.outcome] || '';
