/**
 * What is known of each group of an instance: how many of its tasks have which status, and when they began and ended.
 *
 * It follows the changes of the store, so a change costs as much as the tree is deep, and not as many items as a foreach
 * has.
 */
import { type Change, type Span, type TaskChange, type TaskState, type TaskStatus, paths } from '@taskpath/react/core';

export type Counts = Readonly<Record<TaskStatus | 'stale', number>>;

export interface Group {
  /** Of the tasks right below it; the items of a collapsed foreach are among them. */
  readonly below: Counts;
  /** Of all tasks anywhere below it that are no groups. */
  readonly deep: Counts;
  readonly span: Span;
}

const EMPTY: Counts = Object.freeze({
  inactive: 0, queued: 0, running: 0, ok: 0, failed: 0, skipped: 0, cancelled: 0, stale: 0,
});
export const NO_GROUP: Group = Object.freeze({ below: EMPTY, deep: EMPTY, span: Object.freeze({ start: null, end: null }) });

interface Node {
  below: Record<keyof Counts, number>;
  deep: Record<keyof Counts, number>;
  children: Set<string>;
  start: number | null;
  end: number | null;
  /** What stood at an edge of the span has moved inwards: the children have to be looked at. */
  dirty: boolean;
  shown: Group | null;
}

export interface Known {
  readonly changes: { add(call: (change: Change) => void): () => void };
  getState(): { readonly statuses: ReadonlyMap<string, TaskState> };
}

export class Tally {
  /** Rises when tasks come or go. */
  shape = 0;

  #isGroup: (path: string) => boolean;
  #states = new Map<string, TaskState>();
  #nodes = new Map<string, Node>();
  #calls = new Map<string, Set<() => void>>();
  #shapeCalls = new Set<() => void>();

  /** @param isGroup as the tree is described now */
  constructor(isGroup: (path: string) => boolean) {
    this.#isGroup = isGroup;
  }

  /** Takes what there is, and whatever comes; returns what ends it. */
  follow(store: Known): () => void {
    this.#begin(store.getState().statuses);
    return store.changes.add(({ tasks, described }) => {
      const collapses = tasks.some(({ before, now }) => Boolean(before?.rollup) !== Boolean(now?.rollup));
      if (described || collapses) this.#begin(store.getState().statuses);
      else this.take(tasks);
    });
  }

  /** Forgets what it knew: what is a group now may not have been one. */
  #begin(statuses: ReadonlyMap<string, TaskState>): void {
    const before = [...this.#nodes.keys()];
    // What has a rollup is known before what is below it.
    this.#states = new Map([...statuses].filter(([, { rollup }]) => rollup));
    this.#nodes = new Map();
    this.take([...statuses].map(([path, now]) => ({ path, before: null, now })));
    for (const path of before) if (!this.#nodes.has(path)) this.#calls.get(path)?.forEach((call) => call());
    if (statuses.size === 0) this.#reshaped();
  }

  take(changes: readonly TaskChange[]): void {
    const touched = new Set<string>();
    let shape = false;
    for (const { path, before, now } of changes) {
      if (now) this.#states.set(path, now);
      else this.#states.delete(path);
      if (!before !== !now || Boolean(before?.rollup) !== Boolean(now?.rollup)) shape = true;
      this.#move(path, before, now, touched);
    }
    for (const path of touched) {
      const node = this.#nodes.get(path);
      if (node) node.shown = null;
    }
    for (const path of touched) this.#calls.get(path)?.forEach((call) => call());
    if (shape) this.#reshaped();
  }

  /** The state of a task, if it was sent. */
  state(path: string): TaskState | undefined {
    return this.#states.get(path);
  }

  /** What is known of a group. The same object as long as nothing of it has changed. */
  group(path: string): Group {
    const node = this.#nodes.get(path);
    if (!node) return NO_GROUP;
    return (node.shown ??= { below: { ...node.below }, deep: { ...node.deep }, span: this.#span(path, node) });
  }

  subscribe(path: string, call: () => void): () => void {
    let here = this.#calls.get(path);
    if (!here) this.#calls.set(path, (here = new Set()));
    here.add(call);
    return () => {
      here.delete(call);
      if (here.size === 0) this.#calls.delete(path);
    };
  }

  readonly subscribeShape = (call: () => void): (() => void) => {
    this.#shapeCalls.add(call);
    return () => void this.#shapeCalls.delete(call);
  };

  #reshaped(): void {
    this.shape += 1;
    this.#shapeCalls.forEach((call) => call());
  }

  #move(path: string, before: TaskState | null, now: TaskState | null, touched: Set<string>): void {
    const above = paths.parent(path);
    // The items of a foreach that has a rollup are among what that counts.
    const isCounted = !this.#isInRollup(path);
    if (isCounted && (before?.rollup || now?.rollup)) {
      const own = this.#node(path);
      countRollup(own.below, before, -1);
      countRollup(own.below, now, 1);
      countRollup(own.deep, before, -1);
      countRollup(own.deep, now, 1);
    }
    if (this.#nodes.has(path)) touched.add(path);
    if (above !== null) {
      const parent = this.#node(above);
      if (isCounted) {
        count(parent.below, before, -1);
        count(parent.below, now, 1);
      }
      if (now) parent.children.add(path);
      else if (!this.#nodes.has(path)) parent.children.delete(path);
    }
    const was = ownSpan(before);
    const is = ownSpan(now);
    const own = this.#nodes.get(path);
    if (own) widen(own, was, is);
    const isLeaf = !this.#isGroup(path);
    for (let at = above; at !== null; at = paths.parent(at)) {
      const node = this.#node(at);
      if (isLeaf && isCounted) {
        count(node.deep, before, -1);
        count(node.deep, now, 1);
      }
      if (isCounted) {
        countRollup(node.deep, before, -1);
        countRollup(node.deep, now, 1);
      }
      widen(node, was, is);
      touched.add(at);
    }
  }

  #isInRollup(path: string): boolean {
    if (!path.includes('[')) return false;
    for (let at = paths.parent(path); at !== null; at = paths.parent(at)) if (this.#states.get(at)?.rollup) return true;
    return false;
  }

  #node(path: string): Node {
    let node = this.#nodes.get(path);
    if (!node) {
      node = { below: { ...EMPTY }, deep: { ...EMPTY }, children: new Set(), start: null, end: null, dirty: false, shown: null };
      widen(node, NO_SPAN, ownSpan(this.#states.get(path) ?? null));
      this.#nodes.set(path, node);
      // Also one whose own state was not sent is looked at for what is below it.
      const above = paths.parent(path);
      if (above !== null) this.#node(above).children.add(path);
    }
    return node;
  }

  #span(path: string, node: Node): Span {
    if (node.dirty) {
      node.dirty = false;
      const own = ownSpan(this.#states.get(path) ?? null);
      node.start = own.start;
      node.end = own.end;
      for (const child of node.children) {
        const below = this.#nodes.get(child);
        widen(node, NO_SPAN, below ? this.#span(child, below) : ownSpan(this.#states.get(child) ?? null));
      }
    }
    return { start: node.start, end: node.end };
  }
}

const NO_SPAN: Span = { start: null, end: null };

function ownSpan(state: TaskState | null): Span {
  if (!state || state.executionTime === null) return NO_SPAN;
  // The duration of a group is that of its own function.
  return { start: state.executionTime, end: state.duration === null ? null : state.executionTime + state.duration };
}

function widen(node: Node, was: Span, is: Span): void {
  if (was.start !== null && was.start === node.start && was.start !== is.start) node.dirty = true;
  if (was.end !== null && was.end === node.end && was.end !== is.end) node.dirty = true;
  if (is.start !== null) node.start = Math.min(node.start ?? is.start, is.start);
  if (is.end !== null) node.end = Math.max(node.end ?? is.end, is.end);
}

function count(counts: Record<keyof Counts, number>, state: TaskState | null, by: number): void {
  if (!state) return;
  counts[state.status] += by;
  if (state.stale) counts.stale += by;
}

function countRollup(counts: Record<keyof Counts, number>, state: TaskState | null, by: number): void {
  const rollup = state?.rollup;
  if (!rollup) return;
  for (const status of Object.keys(EMPTY) as (keyof Counts)[]) counts[status] += by * rollup[status];
}
