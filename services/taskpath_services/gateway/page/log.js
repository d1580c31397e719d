/** The log of one task: what there is, then what comes. */
import { h, conflated, write } from './dom.js';
import { count, moment, timeOfDay } from './format.js';

const PAGE = 1_000;
/** Older lines are left out of the page. */
const SHOWN = 2_000;

export class LogView {
  #api;
  #watch;
  #id;
  #path;
  #lines = h('ol.log', { role: 'log', tabindex: 0, 'aria-label': 'Log' });
  #note = h('p.note');
  #waiting = [];
  #left = 0;
  #attempt = null;
  #append = conflated(() => this.#draw());
  #closed = false;

  /** @param {{api: object, watch: import('./watch.js').InstanceWatch, id: string, path: string}} parts */
  constructor({ api, watch, id, path }) {
    this.#api = api;
    this.#watch = watch;
    this.#id = id;
    this.#path = path;
    this.element = h('div', {}, this.#note, this.#lines);
    this.#load();
  }

  close() {
    this.#closed = true;
  }

  /** @param {object} packet `taskLogs` */
  receive(packet) {
    if (packet.taskPath === this.#path) this.#take(packet.lines, packet.dropped);
  }

  async #load() {
    write(this.#note, 'Reading…');
    let after;
    try {
      for (;;) {
        const page = await this.#api.logs(this.#id, this.#path, { after, limit: PAGE });
        if (this.#closed) return;
        this.#take(page.lines);
        after = page.next;
        if (page.lines.length < PAGE) break;
      }
    } catch (error) {
      if (!this.#closed) write(this.#note, error.message);
      return;
    }
    this.#watch.setLogs({ [this.#path]: after });
    this.#say();
  }

  #take(lines, dropped = 0) {
    this.#left += dropped;
    this.#waiting.push(...lines);
    if (this.#waiting.length > SHOWN) {
      this.#left += this.#waiting.length - SHOWN;
      this.#waiting = this.#waiting.slice(-SHOWN);
    }
    this.#append();
  }

  #draw() {
    if (this.#closed) return;
    const element = this.#lines;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    const fragment = document.createDocumentFragment();
    for (const line of this.#waiting) {
      if (this.#attempt !== null && line.attempt !== this.#attempt) {
        fragment.append(h('li.attempt', {}, `attempt ${line.attempt}`));
      }
      this.#attempt = line.attempt;
      const time = h('time', { title: moment(line.time) }, timeOfDay(line.time));
      fragment.append(h('li', { 'data-level': line.level }, time, h('span', {}, line.text)));
    }
    this.#waiting = [];
    element.append(fragment);
    while (element.children.length > SHOWN) {
      element.firstElementChild.remove();
      this.#left += 1;
    }
    if (atEnd) element.scrollTop = element.scrollHeight;
    this.#say();
  }

  #say() {
    const empty = this.#lines.children.length === 0 && this.#waiting.length === 0;
    write(this.#note, empty ? 'Nothing was logged.' : this.#left ? `${count(this.#left)} older lines are not shown.` : '');
    this.#note.hidden = this.#note.textContent === '';
    this.#lines.hidden = empty;
  }
}
