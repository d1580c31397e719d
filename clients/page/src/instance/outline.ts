/** Which rows of an instance's tree there are. All of them are listed; which are drawn is the window's business. Pure. */
import { type TaskTree, openedAtFirst, paths } from '@taskpath/react/core';
import { Rows } from './rows.js';
import type { Counts, Tally } from './tally.js';

/** A foreach of more items is shown by pages: so many states are not sent to one page. */
export const MOST_LISTED = 20_000;
export const PAGE = 50;
/** So many rows are opened at first. */
const OPENED = 200;

/** Of which status the tasks are that are wanted; null for all. */
export type Wanted = keyof Counts | null;

export interface Outline {
  readonly open: ReadonlySet<string>;
  /** By foreach of very many items, from which item on they are shown. */
  readonly first: ReadonlyMap<string, number>;
}

export interface Shape {
  readonly tree: TaskTree;
  /** How many items a foreach has, as far as is known. */
  countOf(path: string): number;
}

/** As an outline is at first. */
export function opened(tree: TaskTree): Outline {
  return { open: openedAtFirst(tree, OPENED), first: new Map() };
}

/** Other items of a foreach of very many. */
export function paged(outline: Outline, path: string, first: number): Outline {
  return { ...outline, first: new Map(outline.first).set(path, Math.max(0, first)) };
}

/** What is above a task opened, and the page where it is. */
export function revealed(outline: Outline, path: string): Outline {
  const open = new Set(outline.open);
  const first = new Map(outline.first);
  for (const step of [...paths.ancestors(path), path]) {
    const above = paths.parent(step);
    if (above === null || above === paths.ROOT) continue;
    open.add(above);
    const index = paths.itemIndex(step);
    if (index !== null) first.set(above, index - (index % PAGE));
  }
  return { open, first };
}

/** The patterns that name the items of the foreaches that are open. */
export function itemPatterns({ tree, countOf }: Shape, outline: Outline): string[] {
  return [...outline.open].filter((path) => tree.isForeach(path) && countOf(path) <= MOST_LISTED).map((path) => `${path}[*]`);
}

/** The items that are named one by one: of foreaches of very many those on the page. */
export function namedItems({ pagers }: Rows): string[] {
  return pagers.flatMap(({ path, first, count }) => range(first, Math.min(count, first + PAGE)).map((at) => paths.item(path, at)));
}

export function rowsOf(shape: Shape, outline: Outline): Rows {
  const { tree, countOf } = shape;
  const rows = new Rows();
  const openItems = openItemsOf(outline);
  const add = (path: string, level: number, position: number, siblings: number) => {
    const isGroup = tree.isGroup(path);
    const isOpen = isGroup && outline.open.has(path);
    rows.add({ kind: 'task', path, level, isGroup, isOpen, position, siblings });
    if (!isOpen) return;
    if (tree.isForeach(path)) addItems(path, level + 1);
    else addChildren(path, level + 1);
  };
  const addChildren = (path: string, level: number) => {
    const children = tree.children(path);
    children.forEach((child, index) => add(child, level, index + 1, children.length));
  };
  const addItems = (foreach: string, level: number) => {
    const count = countOf(foreach);
    let first = 0;
    let last = count;
    if (count > MOST_LISTED) {
      first = Math.min(outline.first.get(foreach) ?? 0, Math.max(0, count - 1));
      last = Math.min(count, first + PAGE);
      rows.add({ kind: 'pager', path: foreach, level, first, count });
    }
    const isGroup = tree.isGroup(paths.item(foreach, first));
    const run = (from: number, to: number) => rows.addRun({ foreach, level, isGroup, siblings: count, items: { first: from, count: to - from } });
    for (const open of isGroup ? (openItems.get(foreach) ?? []) : []) {
      if (open < first || open >= last) continue;
      run(first, open);
      add(paths.item(foreach, open), level, open + 1, count);
      first = open + 1;
    }
    run(first, last);
  };
  addChildren(paths.ROOT, 1);
  return rows;
}

/** By foreach, the numbers of the items that are open, in order. */
function openItemsOf({ open }: Outline): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const path of open) {
    const index = paths.itemIndex(path);
    const foreach = paths.parent(path);
    if (index === null || foreach === null) continue;
    const there = found.get(foreach);
    if (there) there.push(index);
    else found.set(foreach, [index]);
  }
  for (const numbers of found.values()) numbers.sort((one, other) => one - other);
  return found;
}

/** Only the tasks of one status, and the groups that they are in. */
export function wantedRows(shape: Shape, tally: Tally, wanted: keyof Counts): Rows {
  const { tree, countOf } = shape;
  const rows = new Rows();
  const add = (path: string, level: number, position: number, siblings: number) => {
    if (!tally.has(path, wanted)) return;
    const isGroup = tree.isGroup(path);
    const isForeach = tree.isForeach(path);
    const count = isForeach ? Math.min(countOf(path), MOST_LISTED) : 0;
    const items = isForeach ? tally.itemsWith(path, wanted).filter((item) => item < count) : [];
    const children = isGroup ? tree.children(path) : [];
    const isOpen = items.length > 0 || children.some((child) => tally.has(child, wanted));
    rows.add({ kind: 'task', path, level, isGroup, isOpen, position, siblings });
    if (!isOpen) return;
    children.forEach((child, index) => add(child, level + 1, index + 1, children.length));
    if (isForeach && tree.isGroup(paths.item(path, 0))) {
      for (const item of items) add(paths.item(path, item), level + 1, item + 1, count);
    } else {
      rows.addRun({ foreach: path, level: level + 1, isGroup: false, siblings: count, items });
    }
  };
  const roots = tree.children(paths.ROOT);
  roots.forEach((path, index) => add(path, 1, index + 1, roots.length));
  return rows;
}

/** The foreaches whose items have to be there to find all tasks of a status. */
export function foreachesWith({ tree, countOf }: Shape, tally: Tally, wanted: keyof Counts): string[] {
  const found: string[] = [];
  const look = (path: string) => {
    if (tally.group(path).deep[wanted] === 0) return;
    if (tree.isForeach(path)) {
      if (countOf(path) <= MOST_LISTED) found.push(path);
    } else tree.children(path).forEach(look);
  };
  tree.children(paths.ROOT).forEach(look);
  return found;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset);
}
