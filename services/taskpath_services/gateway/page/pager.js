/** The row that leads through the items of a foreach: which page, and which statuses. */
import { button, h, write } from './dom.js';
import { count } from './format.js';
import { PAGE } from './outline.js';

const FILTERS = ['failed', 'running', 'queued', 'cancelled', 'skipped'];

export class Pager {
  #label = h('span.label', { 'aria-live': 'off' });
  #previous;
  #next;
  #filters = new Map();
  #row = null;

  /**
   * @param {string} path of the foreach
   * @param {{page: (path: string, first: number) => void, filter: (path: string, status: string) => void}} turn
   */
  constructor(path, turn) {
    const step = (by) => () => turn.page(path, this.#row.first + by * PAGE);
    this.#previous = button('Previous items', 'back', step(-1), { bare: true });
    this.#next = button('Next items', 'chevron', step(1), { bare: true });
    const filters = h('span.filters', { role: 'group', 'aria-label': `Which items of ${path}` });
    for (const status of ['', ...FILTERS]) {
      const filter = h('button.filter', { type: 'button', onclick: () => turn.filter(path, status) });
      this.#filters.set(status, filter);
      filters.append(filter);
    }
    this.element = h('div.row.pager', { role: 'none' }, filters, h('span.turn', {}, this.#label, this.#previous, this.#next));
  }

  /** @param {Record<string, number> | null} rollup of the foreach */
  show(row, rollup) {
    this.#row = row;
    this.element.style.setProperty('--level', String(row.level));
    const last = row.first + row.shown;
    write(this.#label, row.count === 0 ? 'none' : `${count(row.first + 1)}–${count(last)} of ${count(row.count)}`);
    setDisabled(this.#previous, row.first === 0);
    setDisabled(this.#next, last >= row.count);
    for (const [status, filter] of this.#filters) {
      const many = status ? (rollup?.[status] ?? 0) : null;
      filter.hidden = many === 0 && row.filter !== status;
      const pressed = String(row.filter === status);
      if (filter.getAttribute('aria-pressed') !== pressed) filter.setAttribute('aria-pressed', pressed);
      write(filter, status ? `${status} ${count(many)}` : 'all');
    }
  }
}

function setDisabled(element, disabled) {
  if (element.disabled !== disabled) element.disabled = disabled;
}
