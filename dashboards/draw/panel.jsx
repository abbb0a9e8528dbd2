// One panel, drawn by Grafana's own components from its JSON.
import React, { useEffect, useState } from 'react';
import {
  dateTime, FieldType, getDisplayProcessor, standardTransformers, standardTransformersRegistry, transformDataFrame,
} from '@grafana/data';
import { BigValue, PanelChrome, TimeSeries, useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { firstValueFrom } from 'rxjs';
import { frames, interpolate } from './query.js';

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((t) => ({ id: t.id, name: t.name, transformation: () => Promise.resolve(t), editor: () => null }))
);

// configure gives fields what the panel's defaults and overrides say. The
// registry that does so in Grafana is not among its npm packages.
function configure(data, panel, theme) {
  let index = 0;
  for (const frame of data) {
    for (const field of frame.fields) {
      const name = field.config.displayName ?? field.config.displayNameFromDS ?? field.name;
      const config = { ...structuredClone(panel.fieldConfig.defaults), ...field.config };
      for (const o of panel.fieldConfig.overrides.filter((o) => matches(o.matcher, name))) {
        for (const p of o.properties) {
          if (p.id.startsWith('custom.')) {
            config.custom = { ...config.custom, [p.id.slice('custom.'.length)]: p.value };
          } else {
            config[p.id] = p.value;
          }
        }
      }
      for (const step of config.thresholds?.steps ?? []) {
        step.value ??= -Infinity;
      }
      field.config = config;
      if (field.type === FieldType.number) {
        const finite = field.values.filter(Number.isFinite);
        const [min, max] = [Math.min(...finite, 0), Math.max(...finite, 0)];
        field.state = { ...field.state, seriesIndex: index++, range: { min, max, delta: max - min } };
      }
      field.display = getDisplayProcessor({ field, theme });
    }
  }
  return data;
}

function matches({ id, options }, name) {
  return id === 'byRegexp' ? new RegExp(options.slice(1, -1)).test(name) : options === name;
}

async function load(panel, range, values, theme) {
  let data = (await Promise.all(panel.targets.map((t) => frames(panel, t, range, values)))).flat();
  if (panel.transformations.length > 0) {
    data = await firstValueFrom(transformDataFrame(panel.transformations, data));
  }
  return configure(data, panel, theme);
}

export function Panel({ panel, range, values, width, height, done }) {
  const theme = useTheme2();
  const [state, setState] = useState(null);
  useEffect(() => {
    load(panel, range, values, theme)
      .then((data) => setState({ data }), (error) => setState({ error: String(error) }))
      .finally(() => setTimeout(done, 50));
  }, []);
  return (
    <PanelChrome title={interpolate(panel.title, values)} description={panel.description} width={width} height={height}>
      {(w, h) => (state === null ? null : state.error ? <pre>{state.error}</pre> : draw(panel, state.data, range, w, h, theme))}
    </PanelChrome>
  );
}

function draw(panel, data, range, width, height, theme) {
  if (panel.datasource.type !== 'prometheus') {
    return <Note height={height} text={'From the data source ' + panel.datasource.type + ': not drawn here'} />;
  }
  if (data.length === 0 || data.every((f) => f.length === 0)) {
    return <Note height={height} text="No data" />;
  }
  switch (panel.type) {
    case 'timeseries':
      return (
        <TimeSeries frames={data} width={width} height={height} timeZone="utc" legend={panel.options.legend} options={panel.options}
          timeRange={{ from: dateTime(range.from), to: dateTime(range.to), raw: { from: dateTime(range.from), to: dateTime(range.to) } }} />
      );
    case 'stat': {
      const field = data[0].fields.find((f) => f.type === FieldType.number);
      const value = field.display(field.values[field.values.length - 1]);
      return (
        <BigValue theme={theme} width={width} height={height} value={value} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode} textMode="value" sparkline={{ y: field, x: data[0].fields[0] }} />
      );
    }
    case 'table':
      return (
        <TableNG data={data[0]} width={width} height={height} initialSortBy={panel.options.sortBy} fieldConfig={panel.fieldConfig}
          getActions={() => []} cellHeight="sm" structureRev={1} />
      );
  }
  return <Note height={height} text={"Grafana's npm packages have no " + panel.type + ': not drawn here'} />;
}

function Note({ height, text }) {
  const theme = useTheme2();
  return <div style={{ display: 'grid', placeItems: 'center', height, color: theme.colors.text.secondary }}>{text}</div>;
}
