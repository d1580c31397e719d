/** Short messages at the edge of the page: what was refused, what failed. */
import { button, h } from './dom.js';

const SHOWN = 4;
/** How long a notice stays that asks for nothing, in ms. */
const STAYS = 8_000;

export class Notices {
  #root;
  #keyed = new Map();

  constructor(root) {
    this.#root = root;
  }

  /**
   * @param {string} text
   * @param {object} [options]
   * @param {'bad' | 'plain'} [options.tone]
   * @param {[string, () => void][]} [options.offers] buttons: what they say and do
   * @param {string} [options.key] takes the place of the notice before with the same key
   */
  show(text, { tone = 'plain', offers = [], key } = {}) {
    const close = () => {
      notice.remove();
      if (this.#keyed.get(key) === notice) this.#keyed.delete(key);
    };
    const buttons = offers.map(([label, act]) =>
      h('button.button.small', { type: 'button', onclick: () => (close(), act()) }, label),
    );
    const notice = h(
      'div.notice',
      { 'data-tone': tone, role: tone === 'bad' ? 'alert' : undefined },
      h('p', {}, text),
      button('Dismiss', 'close', close, { bare: true }),
      buttons.length ? h('div.offers', {}, ...buttons) : null,
    );
    const before = key && this.#keyed.get(key);
    if (before) before.replaceWith(notice);
    else this.#root.append(notice);
    if (key) this.#keyed.set(key, notice);
    while (this.#root.children.length > SHOWN) this.#root.firstElementChild.remove();
    if (tone === 'plain' && !offers.length) setTimeout(close, STAYS);
    return close;
  }

  /** Says in one sentence why something did not work. */
  error(error, offers) {
    return this.show(error.message, { tone: 'bad', offers });
  }
}
