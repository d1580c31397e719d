/** The tree of one instance: rows that follow the store, and the keyboard. */
import { h, conflated } from './dom.js';
import { nearest } from './outline.js';
import { Pager } from './pager.js';
import { parent } from './paths.js';
import { TaskRow } from './row.js';

/** How often what time changes is written, in ms. */
const TICK = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1_000 : 100;

export class Tree {
  #store;
  #outline;
  #handlers;
  #rows = [];
  #views = new Map();
  #ticking = new Set();
  #selected = null;
  #focused = null;
  #timer;
  #stop;

  /** Draws in the next animation frame. */
  draw = conflated(() => this.#draw());

  /**
   * @param {import('./store.js').InstanceStore} store
   * @param {import('./outline.js').Outline} outline
   * @param {object} handlers
   * @param {(path: string) => void} handlers.select
   * @param {(path: string) => void} handlers.run
   * @param {(path: string) => void} handlers.cancel
   * @param {(path: string, status: string) => void} handlers.filter
   * @param {() => void} handlers.opened what is shown has changed by hand
   * @param {() => number} handlers.now the server's time
   */
  constructor(store, outline, handlers) {
    this.#store = store;
    this.#outline = outline;
    this.#handlers = handlers;
    this.element = h('div.tree', {
      role: 'tree',
      'aria-label': 'Tasks',
      onclick: (event) => this.#click(event),
      onkeydown: (event) => this.#key(event),
      onfocusin: (event) => this.#focus(event.target.closest('[role=treeitem]')?.dataset.path),
    });
    this.#stop = store.changes.add(this.draw);
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  close() {
    clearInterval(this.#timer);
    this.#stop();
  }

  select(path) {
    this.#selected = path;
    if (path) this.#focused = path;
    this.draw();
  }

  /** Takes the keyboard to a row, if it is shown. */
  focus(path) {
    this.#views.get(`task${path}`)?.element.focus({ preventScroll: true });
  }

  /** Brings the selected row into view, when it is drawn. */
  reveal() {
    requestAnimationFrame(() => this.#views.get(`task${this.#selected}`)?.element.scrollIntoView({ block: 'nearest' }));
  }

  #draw() {
    this.#rows = this.#outline.rows();
    if (!this.#rows.some((row) => row.kind === 'task' && row.path === this.#focused)) {
      this.#focused = nearest(this.#rows, this.#focused ?? '');
    }
    const shown = new Map();
    const elements = [];
    this.#ticking.clear();
    const now = this.#handlers.now();
    for (const row of this.#rows) {
      const key = row.kind + row.path;
      const view = this.#views.get(key) ?? this.#make(row);
      shown.set(key, view);
      elements.push(view.element);
      if (row.kind === 'items') view.show(row, this.#store.rollup(row.path));
      else this.#show(view, row, now);
    }
    this.#views = shown;
    this.#arrange(elements);
  }

  #make(row) {
    if (row.kind === 'task') return new TaskRow(row.path);
    return new Pager(row.path, {
      page: (path, first) => {
        this.#outline.page(path, first);
        this.#handlers.opened();
        this.draw();
      },
      filter: (path, status) => this.#handlers.filter(path, status),
    });
  }

  #show(view, row, now) {
    view.place({ ...row, selected: row.path === this.#selected });
    const { path } = row;
    if (view.show(this.#store.task(path), now)) this.#ticking.add(view);
    view.element.tabIndex = path === this.#focused ? 0 : -1;
  }

  /** Puts the rows in order; those that are in place are not touched, so that focus and selection stay. */
  #arrange(elements) {
    const kept = new Set(elements);
    for (const element of [...this.element.children]) {
      if (!kept.has(element)) element.remove();
    }
    let at = this.element.firstElementChild;
    for (const element of elements) {
      if (element === at) at = at.nextElementSibling;
      else this.element.insertBefore(element, at);
    }
  }

  #tick() {
    if (document.hidden) return;
    const now = this.#handlers.now();
    for (const view of this.#ticking) view.tick(this.#store.task(view.path), now);
  }

  #click(event) {
    const path = event.target.closest('[role=treeitem]')?.dataset.path;
    if (!path) return;
    const act = event.target.closest('.act')?.dataset.act;
    if (act) this.#handlers[act](path);
    else if (event.target.closest('.toggle') && this.#store.isGroup(path)) this.#toggle(path);
    else this.#handlers.select(path);
  }

  #toggle(path, open = !this.#outline.isOpen(path)) {
    if (open) this.#outline.open(path);
    else this.#outline.close(path);
    this.#handlers.opened();
    this.#draw(); // at once, so that the next key finds what this one opened
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !event.target.matches('[role=treeitem]')) return;
    const path = event.target.dataset.path;
    const tasks = this.#rows.filter((row) => row.kind === 'task');
    const at = tasks.findIndex((row) => row.path === path);
    const row = tasks[at];
    if (!row) return;
    const to = (where) => this.#views.get(`task${where}`)?.element.focus();
    const go = (next) => next && to(next.path);
    const keys = {
      ArrowDown: () => go(tasks[at + 1]),
      ArrowUp: () => go(tasks[at - 1]),
      Home: () => go(tasks[0]),
      End: () => go(tasks.at(-1)),
      ArrowRight: () => (row.group && !row.open ? this.#toggle(path, true) : row.open && go(tasks[at + 1])),
      ArrowLeft: () => (row.open ? this.#toggle(path, false) : this.#views.has(`task${parent(path)}`) && to(parent(path))),
      Enter: () => this.#handlers.select(path),
      ' ': () => this.#handlers.select(path),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }


  #focus(path) {
    if (!path || path === this.#focused) return;
    const before = this.#views.get(`task${this.#focused}`);
    if (before) before.element.tabIndex = -1;
    this.#focused = path;
    this.#views.get(`task${path}`).element.tabIndex = 0;
  }
}
