/** Making elements. No markup is ever parsed from text, so nothing that users write can become one. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} name `div`, or with classes `div.row.open`
 * @param {Record<string, unknown>} [properties] attributes; `onclick` and the like are listeners
 * @param {...(Node | string | null | undefined)} children
 */
export function h(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A drawing from the page's sprite. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** The mark of a status, which can change. */
export class StatusMark {
  #use = document.createElementNS(SVG, 'use');
  #status = null;

  constructor() {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(this.#use);
    this.element = h('span.mark', { role: 'img' }, svg);
  }

  set(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.element.dataset.status = status;
    this.element.setAttribute('aria-label', status);
    this.element.title = status;
    this.#use.setAttribute('href', `#s-${DRAWN_AS[status] ?? status}`);
  }
}

/** The statuses of an instance that look like those of a task. */
const DRAWN_AS = { working: 'running', done: 'ok' };

/** A button with an icon and, unless it is `bare`, a text. It rests while what `onclick` returned is pending. */
export function button(text, iconName, onclick, { bare = false, kind = '', ...properties } = {}) {
  const name = bare ? 'button.icon-button' : `button.button${kind && `.${kind}`}`;
  const labels = bare ? { 'aria-label': text, title: text } : {};
  const act = async (event) => {
    const element = event.currentTarget;
    element.disabled = true;
    try {
      await onclick(event);
    } finally {
      element.disabled = false;
    }
  };
  return h(name, { type: 'button', onclick: act, ...labels, ...properties }, icon(iconName), bare ? null : text);
}

/** Writes a text only where it differs. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Calls `draw` once in the next animation frame, however often it is asked to. */
export function conflated(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Copies a text; the button that asked for it says so. */
export async function copy(text, asking) {
  try {
    await navigator.clipboard.writeText(text);
    asking.dataset.done = 'true';
  } catch {
    asking.dataset.done = 'false';
  }
  asking.addEventListener('blur', () => delete asking.dataset.done, { once: true });
}
