// A whole board, as wide as the window.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { createTheme, ThemeContext } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles } from '@grafana/ui';
import { Panel } from './panel.jsx';
import { interpolate } from './query.js';

const cell = 32; // pixels of a grid's row, with its gap
const gap = 8;

async function main() {
  const params = new URLSearchParams(location.search);
  const board = await (await fetch('/boards/' + params.get('board') + '.json')).json();
  const values = JSON.parse(params.get('values'));
  const to = Date.now();
  const range = { from: to - Number(params.get('minutes')) * 60_000, to, step: 5 };
  const theme = createTheme({ colors: { mode: 'dark' } });
  await initPluginTranslations('tallygate'); // English
  const panels = board.panels;
  let left = panels.filter((p) => p.type !== 'row').length;
  const done = () => { if (--left === 0) setTimeout(() => { window.drawn = true; }, 500); };
  const column = innerWidth / 24;
  const bottom = Math.max(...panels.map((p) => p.gridPos.y + p.gridPos.h));
  const shown = board.templating.list.filter((v) => v.hide === 0);
  document.body.style.cssText = `margin: 0; background: ${theme.colors.background.canvas}; color: ${theme.colors.text.primary}; font-family: ${theme.typography.fontFamily}; font-size: 14px`;
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ padding: '8px 12px', fontSize: 20 }}>{board.title}</div>
      <div style={{ padding: '0 12px 12px', color: theme.colors.text.secondary }}>
        {shown.map((v) => <span key={v.name} style={{ marginRight: 16 }}>{v.label}: {values['label:' + v.name] ?? values[v.name] ?? 'default'}</span>)}
      </div>
      <div style={{ position: 'relative', height: bottom * cell + 8 }}>
        {panels.map((p) => {
          const { x, y, w, h } = p.gridPos;
          const box = { position: 'absolute', left: x * column + gap / 2, top: y * cell, width: w * column - gap, height: h * cell - gap };
          return (
            <div key={p.id} style={box}>
              {p.type === 'row'
                ? <div style={{ padding: '2px 8px', fontWeight: 500 }}>{interpolate(p.title, values)}</div>
                : <Panel panel={p} range={range} values={values} width={box.width} height={box.height} done={done} />}
            </div>
          );
        })}
      </div>
    </ThemeContext.Provider>
  );
}

main().catch((error) => { document.body.textContent = String(error.stack ?? error); window.drawn = true; });
