// dom.js: elements without a library, and without innerHTML.
const svgTags = new Set(['svg', 'path', 'line', 'rect', 'g', 'title']);

// h makes an element: h('td', {class: 'num', onclick: f}, 'text', child, …).
export function h(tag, props, ...children) {
  const e = svgTags.has(tag) ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(props || {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
    else if (k === 'style') Object.assign(e.style, v);
    else if (k === 'value') e.value = v;
    else e.setAttribute(k, v === true ? '' : v);
  }
  add(e, children);
  return e;
}

function add(e, children) {
  for (const c of children) {
    if (Array.isArray(c)) add(e, c);
    else if (c !== undefined && c !== null && c !== false) e.append(c);
  }
}

// fill replaces what an element holds.
export function fill(e, ...children) {
  e.replaceChildren();
  add(e, children);
  return e;
}

export const empty = (title, ...text) => h('div', {class: 'empty'}, h('h2', {}, title), ...text.map((t) => (typeof t === 'string' ? h('p', {}, t) : t)));
export const busy = (text) => h('div', {class: 'empty busy', 'aria-busy': 'true'}, h('p', {}, text));

// debounce calls f once things have been quiet for some milliseconds.
export function debounce(f, ms) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
}
