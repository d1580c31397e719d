/**
 * The outline: which rows of an instance's tree are shown, and which tasks have to be watched for that. No DOM here.
 *
 * A foreach is shown by pages of its items. The server sends the items of a foreach of up to 1,000 by itself; a
 * larger one is a rollup, and its items are asked for when it is opened: all of them up to 10,000, beyond that
 * only those of the page that is shown.
 */
import { ROOT, ancestors, isUnder, item, itemIndex, parent } from './paths.js';

export const PAGE = 50;
/** A foreach of more items gets a row to choose among them. */
const PAGER_FROM = 10;
/** A foreach of more items is a rollup unless its items are named. */
const SENT_ALWAYS = 1_000;
/** Of a foreach of more items only a page is watched. */
const WATCHED_WHOLE = 10_000;

/** So many rows are opened at first. */
const OPENED = 100;
/** The server takes no more. */
const MOST_PATTERNS = 100;

/** @typedef {{kind: 'task', path: string, level: number, group: boolean, open: boolean}
 *   | {kind: 'items', path: string, level: number, count: number, first: number, shown: number, filter: string}} Row */

export class Outline {
  #store;
  #open = new Set([ROOT]);
  /** What is shown of the items of an opened foreach: {first, filter, found?}. */
  #items = new Map();

  /** @param {import('./store.js').InstanceStore} store */
  constructor(store) {
    this.#store = store;
  }

  isOpen(path) {
    return this.#open.has(path);
  }

  open(path) {
    this.#open.add(path);
  }

  close(path) {
    this.#open.delete(path);
  }

  /** Opens the groups, level by level, as far as that is still something to look at; a foreach stays closed. */
  openGroups() {
    let level = this.#store.children(ROOT);
    let shown = level.length;
    while (level.length) {
      const below = level.filter((path) => !this.#store.isForeach(path)).map((path) => [path, this.#store.children(path)]);
      level = [];
      for (const [path, children] of below) {
        if (children.length === 0 || shown + children.length > OPENED) continue;
        this.#open.add(path);
        shown += children.length;
        level.push(...children);
      }
    }
  }

  /** Opens what is above a task, at the pages where it is. */
  reveal(path) {
    for (const above of ancestors(path)) this.#open.add(above);
    for (const step of [...ancestors(path), path]) {
      const index = itemIndex(step);
      if (index === null) continue;
      const shown = this.#shown(parent(step));
      if (shown.filter || index < shown.first || index >= shown.first + PAGE) {
        this.#items.set(parent(step), { first: index - (index % PAGE), filter: '' });
      }
    }
  }

  /** Shows another page of the items of a foreach. */
  page(path, first) {
    this.#items.set(path, { ...this.#shown(path), first: Math.max(0, first) });
  }

  /**
   * Shows only the items of one status; all of them for ''.
   * @param {number[]} [found] their numbers, if they are not watched
   */
  filter(path, status, found) {
    this.#items.set(path, { first: 0, filter: status, found });
  }

  /** Whether all items of a foreach are watched when it is open. */
  watchesWhole(path) {
    return this.#store.count(path) <= WATCHED_WHOLE;
  }

  /** @returns {Row[]} */
  rows() {
    const rows = [];
    for (const path of this.#store.children(ROOT)) this.#add(rows, path, 1);
    return rows;
  }

  /** The patterns to watch, or undefined where the server's default is enough. */
  patterns() {
    const named = [];
    for (const path of this.#open) {
      if (!this.#store.isForeach(path) || this.#store.count(path) <= SENT_ALWAYS || !this.#isShown(path)) continue;
      if (this.watchesWhole(path)) named.push(`${path}[*]`);
      else named.push(...this.#page(path).indices.map((index) => item(path, index)));
    }
    return named.length ? ['#.**', ...named.slice(-(MOST_PATTERNS - 1))] : undefined;
  }

  #isShown(path) {
    return ancestors(path).every((above) => this.#open.has(above));
  }

  #add(rows, path, level) {
    const group = this.#store.isGroup(path);
    const open = group && this.#open.has(path);
    rows.push({ kind: 'task', path, level, group, open });
    if (!open) return;
    if (!this.#store.isForeach(path)) {
      for (const child of this.#store.children(path)) this.#add(rows, child, level + 1);
      return;
    }
    const { first, filter } = this.#shown(path);
    const { indices, count } = this.#page(path);
    if (filter || this.#store.count(path) > PAGER_FROM) {
      rows.push({ kind: 'items', path, level: level + 1, count, first, shown: indices.length, filter });
    }
    for (const index of indices) this.#add(rows, item(path, index), level + 1);
  }

  #page(path) {
    const { first, filter, found } = this.#shown(path);
    if (!filter) {
      const count = this.#store.count(path);
      const last = Math.min(first + PAGE, count);
      return { indices: Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset), count };
    }
    const all = found ?? this.#store.itemsWith(path, filter);
    return { indices: all.slice(first, first + PAGE), count: all.length };
  }

  #shown(path) {
    return this.#items.get(path) ?? { first: 0, filter: '' };
  }
}

/** The row to which the keyboard goes when the one it was on is no longer shown. */
export function nearest(rows, path) {
  let best = null;
  for (const row of rows) {
    if (row.kind === 'task' && isUnder(path, row.path)) best = row.path;
  }
  return best ?? rows.find((row) => row.kind === 'task')?.path ?? null;
}
