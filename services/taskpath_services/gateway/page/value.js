/** JSON as people read it; what is large is cut, or a link. */
import { copy, button, h } from './dom.js';
import { bytes, count } from './format.js';

/** Longer texts are shown as far as this, and the rest when asked for. */
const SHOWN = 20_000;
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * @param {unknown} value a JSON value, or `{ref, size}` in place of one over 1 MiB
 * @param {string} [address] where the value can be fetched as it is stored
 */
export function valueView(value, address) {
  if (isReference(value)) {
    return h('p.large', {}, `${bytes(value.size)}, too large to be shown here. `, address ? link(address, 'Open it') : null);
  }
  const text = JSON.stringify(value, null, 2) ?? 'null';
  const code = h('pre.json', { tabindex: 0 });
  const view = h('div.value', {}, code, h('div.value-tools', {}, copyButton(text), address ? link(address, 'Open') : null));
  if (text.length <= SHOWN) {
    code.append(...coloured(text));
    return view;
  }
  code.append(...coloured(text.slice(0, SHOWN)));
  const rest = h('button.button.small', { type: 'button' }, `Show all ${count(text.length)} characters`);
  rest.addEventListener('click', () => {
    code.append(text.slice(SHOWN));
    rest.remove();
  });
  view.append(rest);
  return view;
}

/** Whether a value stands for a larger one that is somewhere else. */
export function isReference(value) {
  return (
    value !== null && typeof value === 'object' && Object.keys(value).length === 2 &&
    'ref' in value && typeof value.size === 'number' && value.size > 1024 ** 2
  );
}

function copyButton(text) {
  const element = button('Copy', 'copy', () => copy(text, element), { bare: true });
  return element;
}

function link(address, text) {
  return h('a', { href: address, target: '_blank', rel: 'noopener' }, text);
}

/** The text as nodes, with strings, names and words told apart. */
function coloured(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(PARTS)) {
    const [all, string, colon, word] = match;
    nodes.push(text.slice(at, match.index));
    const kind = colon ? 'key' : string ? 'string' : word ? 'word' : 'number';
    nodes.push(h(`span.${kind}`, {}, string ?? all));
    if (colon) nodes.push(colon);
    at = match.index + all.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}
