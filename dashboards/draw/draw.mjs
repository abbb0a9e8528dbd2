// Draws every board in headless Chromium with Grafana's own components, against a
// Prometheus that has something to show: make demo prints its URL.
//
//   npm install
//   node draw.mjs --prometheus http://127.0.0.1:9090 --chromium /usr/bin/chromium --out ../../docs/boards
//
// For developers; not part of CI. Two things are not Grafana's: where panels are
// put, and how defaults and overrides become the configuration of fields.
import { readFile, mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const { values: args } = parseArgs({
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    out: { type: 'string', default: path.join(here, '../../docs/boards') },
    minutes: { type: 'string', default: '10' },
    width: { type: 'string', default: '1280' },
    board: { type: 'string', multiple: true, default: ['mesh', 'service', 'workload', 'edge', 'policy', 'quotas', 'traces', 'self'] },
  },
});

// What a user has chosen; label: is how the top of the board shows it.
const chosen = {
  datasource: 'Tallygate Prometheus', namespace: '.*', 'label:namespace': 'All', workload: '.*', 'label:workload': 'All',
  reporter: 'source', 'label:reporter': 'the caller', job: 'tallygate', admin_job: 'tallygate-admin', recorded: '.+',
  service: '.*', 'label:service': 'All', source: '.*', destination: '.*', quota: '.*', 'label:quota': 'All', trace_service: 'frontend', jaeger: 'Tallygate Jaeger', __rate_interval: '20s', __range: '10m',
};
const more = {
  service: { service: 'frontend.shop.svc.cluster.local' },
  workload: { workload: 'frontend-v1', 'label:workload': 'frontend-v1' },
  edge: { source: 'client-v1', destination: 'frontend-v1' },
  policy: { reporter: 'destination', 'label:reporter': 'the callee' },
};

const bundle = await build({
  entryPoints: [path.join(here, 'page.jsx')], bundle: true, write: false, minify: true, format: 'iife', jsx: 'transform',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.png': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' }, outdir: here, logLevel: 'error',
});
const output = (ext) => bundle.outputFiles.find((f) => f.path.endsWith(ext)).contents;

const server = createServer(async (req, resp) => {
  const url = new URL(req.url, 'http://localhost');
  try {
    if (url.pathname === '/') {
      resp.setHeader('content-type', 'text/html').end('<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/page.css"><div id="root"></div><script src="/page.js"></script>');
    } else if (url.pathname === '/page.js') {
      resp.setHeader('content-type', 'text/javascript').end(output('.js'));
    } else if (url.pathname === '/page.css') {
      resp.setHeader('content-type', 'text/css').end(output('.css'));
    } else if (url.pathname.startsWith('/boards/')) {
      resp.end(await readFile(path.join(here, '../files/boards', path.basename(url.pathname))));
    } else if (url.pathname.startsWith('/prometheus/')) {
      const answer = await fetch(args.prometheus + url.pathname.slice('/prometheus'.length) + url.search);
      resp.end(Buffer.from(await answer.arrayBuffer()));
    } else {
      resp.writeHead(404).end();
    }
  } catch (error) {
    resp.writeHead(500).end(String(error));
  }
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

await mkdir(args.out, { recursive: true });
const browser = await puppeteer.launch({ executablePath: args.chromium, args: ['--no-sandbox', '--disable-gpu'] });
try {
  for (const board of args.board) {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(board, 'page:', error.message));
    // As high as the board, because tables draw only what is in sight.
    const { panels } = JSON.parse(await readFile(path.join(here, `../files/boards/tallygate-${board}.json`)));
    const rows = Math.max(...panels.map((p) => p.gridPos.y + p.gridPos.h));
    await page.setViewport({ width: Number(args.width), height: rows * 32 + 90 });
    const values = JSON.stringify({ ...chosen, ...more[board] });
    await page.goto(`http://127.0.0.1:${server.address().port}/?` + new URLSearchParams({ board: 'tallygate-' + board, values, minutes: args.minutes }));
    await page.waitForFunction('window.drawn === true', { timeout: 60_000 });
    const file = path.join(args.out, board + '.png');
    await page.screenshot({ path: file, });
    console.log(file);
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
