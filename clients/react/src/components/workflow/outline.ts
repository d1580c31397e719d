/** Which rows of an instance's tree are shown. A foreach is shown by pages of its items. Pure. */
import { type TaskStatus, type TaskTree, type Tasks, countOf, itemsWith, openedAtFirst, paths, toggled } from '../../core/index.js';

export const PAGE = 50;
/** A foreach of more items gets a row to choose among them. */
const PAGER_FROM = 10;
/** Of a foreach of more items one cannot choose by status: they are not all sent. */
export const FILTER_UP_TO = 10_000;
/** So many rows are opened at first. */
const OPENED = 100;

export interface Outline {
  readonly open: ReadonlySet<string>;
  /** By foreach, from which item on its page is, and of which status its items are. */
  readonly pages: ReadonlyMap<string, ItemsPage>;
}

export interface ItemsPage {
  readonly first: number;
  readonly status: TaskStatus | null;
}

export interface TaskRowPlace {
  readonly kind: 'task';
  readonly path: string;
  readonly level: number;
  readonly isGroup: boolean;
  readonly isOpen: boolean;
}

export interface PagerRowPlace extends ItemsPage {
  readonly kind: 'pager';
  readonly path: string;
  readonly level: number;
  /** How many there are to choose from. */
  readonly count: number;
  readonly shown: number;
}

export type RowPlace = TaskRowPlace | PagerRowPlace;

const START: ItemsPage = { first: 0, status: null };

/** As an outline is at first. */
export function opened(tree: TaskTree): Outline {
  return { open: openedAtFirst(tree, OPENED), pages: new Map() };
}

/** Another page of the items of a foreach, or those of another status. */
export function paged(outline: Outline, path: string, page: ItemsPage): Outline {
  return { ...outline, pages: new Map(outline.pages).set(path, { ...page, first: Math.max(0, page.first) }) };
}

/** What is above a task opened, at the pages where it is. */
export function revealed(outline: Outline, path: string): Outline {
  let now = outline;
  for (const step of [...paths.ancestors(path).slice(1), path]) {
    const above = paths.parent(step);
    const index = paths.itemIndex(step);
    if (above && above !== paths.ROOT) now = toggled(now, above, true);
    if (above && index !== null) now = paged(now, above, { first: index - (index % PAGE), status: null });
  }
  return now;
}

export function rowsOf(tasks: Tasks, outline: Outline): RowPlace[] {
  const rows: RowPlace[] = [];
  const add = (path: string, level: number) => {
    const isGroup = tasks.tree.isGroup(path);
    const isOpen = isGroup && outline.open.has(path);
    rows.push({ kind: 'task', path, level, isGroup, isOpen });
    if (!isOpen) return;
    if (tasks.tree.isForeach(path)) addItems(path, level + 1);
    else for (const child of tasks.tree.children(path)) add(child, level + 1);
  };
  const addItems = (path: string, level: number) => {
    const page = outline.pages.get(path) ?? START;
    const all = page.status ? itemsWith(tasks, path, page.status) : null;
    const count = all ? all.length : countOf(tasks, path);
    const last = Math.min(count, page.first + PAGE);
    const shown = all ? all.slice(page.first, last) : range(page.first, last);
    if (page.status || count > PAGER_FROM) rows.push({ kind: 'pager', path, level, count, shown: shown.length, ...page });
    for (const index of shown) add(paths.item(path, index), level);
  };
  for (const path of tasks.tree.children(paths.ROOT)) add(path, 1);
  return rows;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first) }, (_, offset) => first + offset);
}
