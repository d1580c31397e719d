/** Which rows of an instance's tree there are. All of them are listed; which are drawn is the window's business. Pure. */
import { type TaskTree, openedAtFirst, paths } from '@taskpath/react/core';
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

export interface TaskRow {
  readonly kind: 'task';
  readonly path: string;
  readonly level: number;
  readonly isGroup: boolean;
  readonly isOpen: boolean;
  /** From 1, among its siblings. */
  readonly position: number;
  readonly siblings: number;
}

export interface PagerRow {
  readonly kind: 'pager';
  readonly path: string;
  readonly level: number;
  readonly first: number;
  readonly count: number;
}

export type Row = TaskRow | PagerRow;

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
export function namedItems(rows: readonly Row[]): string[] {
  return rows.flatMap((row) =>
    row.kind === 'pager' ? range(row.first, Math.min(row.count, row.first + PAGE)).map((at) => paths.item(row.path, at)) : [],
  );
}

export function rowsOf(shape: Shape, outline: Outline): Row[] {
  const { tree, countOf } = shape;
  const rows: Row[] = [];
  const add = (path: string, level: number, position: number, siblings: number) => {
    const isGroup = tree.isGroup(path);
    const isOpen = isGroup && outline.open.has(path);
    rows.push({ kind: 'task', path, level, isGroup, isOpen, position, siblings });
    if (!isOpen) return;
    if (!tree.isForeach(path)) {
      const children = tree.children(path);
      children.forEach((child, index) => add(child, level + 1, index + 1, children.length));
      return;
    }
    const count = countOf(path);
    let first = 0;
    let last = count;
    if (count > MOST_LISTED) {
      first = Math.min(outline.first.get(path) ?? 0, Math.max(0, count - 1));
      last = Math.min(count, first + PAGE);
      rows.push({ kind: 'pager', path, level: level + 1, first, count });
    }
    for (let at = first; at < last; at += 1) add(paths.item(path, at), level + 1, at + 1, count);
  };
  const roots = tree.children(paths.ROOT);
  roots.forEach((path, index) => add(path, 1, index + 1, roots.length));
  return rows;
}

/** Only the tasks of one status, and the groups that they are in. */
export function wantedRows(shape: Shape, tally: Tally, wanted: keyof Counts): Row[] {
  const { tree, countOf } = shape;
  const rows: Row[] = [];
  const is = (path: string) => {
    const state = tally.state(path);
    return state !== undefined && (wanted === 'stale' ? state.stale : state.status === wanted);
  };
  const add = (path: string, level: number, position: number, siblings: number) => {
    const isGroup = tree.isGroup(path);
    if (!is(path) && !(isGroup && tally.group(path).deep[wanted] > 0)) return;
    const at = rows.length;
    const row: TaskRow = { kind: 'task', path, level, isGroup, isOpen: false, position, siblings };
    rows.push(row);
    if (!isGroup) return;
    if (tree.isForeach(path)) {
      const count = Math.min(countOf(path), MOST_LISTED);
      for (let item = 0; item < count; item += 1) add(paths.item(path, item), level + 1, item + 1, count);
    } else {
      const children = tree.children(path);
      children.forEach((child, index) => add(child, level + 1, index + 1, children.length));
    }
    if (rows.length > at + 1) rows[at] = { ...row, isOpen: true };
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
