/**
 * The rows of an instance's tree. There may be very many: those of a foreach's items are made when they are asked for,
 * and what is kept of them are runs, so that a list of them costs as much as there are groups that are open. Pure.
 */
import { paths } from '@taskpath/react/core';

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

/** Items of a foreach that follow each other and are not open. */
export interface Run {
  readonly foreach: string;
  readonly level: number;
  readonly isGroup: boolean;
  /** How many items the foreach has. */
  readonly siblings: number;
  /** The numbers of the items: from one on, or these. */
  readonly items: { readonly first: number; readonly count: number } | readonly number[];
}

type Part = { readonly at: number; readonly row: Row; readonly run?: never } | { readonly at: number; readonly run: Run; readonly row?: never };

export class Rows {
  length = 0;
  readonly pagers: PagerRow[] = [];

  #parts: Part[] = [];
  /** Where the tasks are that are not in a run, by path; and the runs, by foreach. */
  #places = new Map<string, number>();
  #runs = new Map<string, { at: number; run: Run }[]>();

  add(row: Row): void {
    if (row.kind === 'task') this.#places.set(row.path, this.length);
    else this.pagers.push(row);
    this.#parts.push({ at: this.length, row });
    this.length += 1;
  }

  addRun(run: Run): void {
    const count = countOf(run);
    if (count === 0) return;
    const part = { at: this.length, run };
    this.#parts.push(part);
    const runs = this.#runs.get(run.foreach);
    if (runs) runs.push(part);
    else this.#runs.set(run.foreach, [part]);
    this.length += count;
  }

  at(index: number): Row | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const part = this.#parts[lastBefore(this.#parts, index)];
    if (!part) return undefined;
    return part.row ?? rowOf(part.run, index - part.at);
  }

  slice(from: number, to: number): Row[] {
    const found: Row[] = [];
    for (let index = Math.max(0, from); index < Math.min(to, this.length); index += 1) {
      const row = this.at(index);
      if (row) found.push(row);
    }
    return found;
  }

  /** Where a task is; -1 if it is not shown. */
  indexOf(path: string | null): number {
    if (path === null) return -1;
    const place = this.#places.get(path);
    if (place !== undefined) return place;
    const item = paths.itemIndex(path);
    const runs = item === null ? undefined : this.#runs.get(paths.parent(path) ?? '');
    if (item === null || !runs) return -1;
    for (const { at, run } of runs) {
      const offset = offsetOf(run, item);
      if (offset >= 0) return at + offset;
    }
    return -1;
  }
}

function countOf({ items }: Run): number {
  return 'count' in items ? items.count : items.length;
}

function rowOf({ foreach, level, isGroup, siblings, items }: Run, offset: number): TaskRow {
  const item = 'count' in items ? items.first + offset : (items[offset] ?? 0);
  return { kind: 'task', path: paths.item(foreach, item), level, isGroup, isOpen: false, position: item + 1, siblings };
}

function offsetOf({ items }: Run, item: number): number {
  if ('count' in items) return item >= items.first && item < items.first + items.count ? item - items.first : -1;
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle] ?? 0) < item) low = middle + 1;
    else high = middle;
  }
  return items[low] === item ? low : -1;
}

/** Which of the parts has a row. */
function lastBefore(parts: readonly { readonly at: number }[], index: number): number {
  let [low, high] = [0, parts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((parts[middle]?.at ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
