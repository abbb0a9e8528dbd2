// Asks Prometheus as Grafana's data source does, and makes Grafana's data frames
// of the answers.
import { FieldType, toDataFrame } from '@grafana/data';

// interpolate puts what a user has chosen for the variables.
export function interpolate(text, values) {
  return text.replace(/\$\{?(\w+)(?::\w+)?\}?/g, (all, name) => (name in values ? values[name] : all));
}

async function get(path, params) {
  const resp = await fetch('/prometheus' + path + '?' + new URLSearchParams(params));
  const body = await resp.json();
  if (body.status !== 'success') {
    throw new Error(body.error);
  }
  return body.data.result;
}

function legend(format, labels) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');
}

export async function frames(panel, target, range, values) {
  if (target.datasource.type !== 'prometheus') {
    return [];
  }
  const query = interpolate(target.expr, values);
  if (target.instant) {
    return [table(target, await get('/api/v1/query', { query, time: range.to / 1000 }))];
  }
  const series = await get('/api/v1/query_range', { query, start: range.from / 1000, end: range.to / 1000, step: range.step });
  return series.map((s) =>
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: s.values.map((v) => v[0] * 1000), config: {} },
        {
          name: 'Value', type: FieldType.number, labels: s.metric, values: s.values.map((v) => (v[1] === 'NaN' ? null : Number(v[1]))),
          config: { displayNameFromDS: legend(target.legendFormat, s.metric).trim() },
        },
      ],
    })
  );
}

// table is what the data source makes of the format "table".
function table(target, series) {
  const names = [...new Set(series.flatMap((s) => Object.keys(s.metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map((s) => s.value[0] * 1000), config: {} },
      ...names.map((name) => ({ name, type: FieldType.string, values: series.map((s) => s.metric[name] ?? ''), config: {} })),
      { name: 'Value #' + target.refId, type: FieldType.number, values: series.map((s) => Number(s.value[1])), config: {} },
    ],
  });
}
