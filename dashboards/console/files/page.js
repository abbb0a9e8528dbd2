// page.js: a view that asks for one thing every so often and shows it.
import {h, fill, busy, empty} from './dom.js';
import {Locked, get} from './api.js';
import {store} from './store.js';

export function page(main, ask, draw, every = 5000) {
  let data = null, timer, gone = false;
  main.className = '';
  const box = h('div', {class: 'page'}, busy('Asking'));
  fill(main, box);
  async function load() {
    try {
      data = await ask();
      if (gone) return;
      const open = new Set([...box.querySelectorAll('details[open]')].map((d) => d.dataset.key));
      fill(box, draw(data));
      for (const d of box.querySelectorAll('details')) d.open = open.has(d.dataset.key);
    } catch (e) {
      if (gone) return;
      if (e instanceof Locked) return store.locked(e.message);
      if (!data) fill(box, e.status === 404 ? empty('Not here', 'This Tallygate does not run that part.') : empty('No answer', e.message, 'Asking again.'));
    }
    if (!document.hidden) timer = setTimeout(load, every);
  }
  const wake = () => {
    clearTimeout(timer);
    if (!document.hidden) load();
  };
  document.addEventListener('visibilitychange', wake);
  load();
  return {unmount: () => {
    gone = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', wake);
  }, reload: wake};
}

export {get};
