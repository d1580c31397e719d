/**
 * What is known of each group of an instance: how many of its tasks have which status, and when they began and ended.
 *
 * It follows the changes of the store, so a change costs as much as the tree is deep, and not as many items as a foreach
 * has. Each task is kept as an entry that knows the one above it: paths are looked up once for each change.
 */
import { type Change, type Span, type TaskChange, type TaskState, type TaskStatus, type TaskTree, paths } from '@taskpath/react/core';

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
const KEYS = Object.keys(EMPTY) as (keyof Counts)[];
export const NO_GROUP: Group = Object.freeze({ below: EMPTY, deep: EMPTY, span: Object.freeze({ start: null, end: null }) });

interface Entry {
  readonly path: string;
  readonly above: Entry | null;
  readonly isGroup: boolean;
  /** The number of an item. */
  readonly index: number | null;
  state: TaskState | null;
  /** What is known of those below it. */
  node: Node | null;
}

interface Node {
  below: Record<keyof Counts, number>;
  deep: Record<keyof Counts, number>;
  named: Set<Entry>;
  /** By number; some may not be there. */
  items: Entry[];
  start: number | null;
  end: number | null;
  /** What stood at an edge of the span has moved inwards: those below have to be looked at. */
  dirty: boolean;
  touched: boolean;
  shown: Group | null;
}

export interface Known {
  readonly changes: { add(call: (change: Change) => void): () => void };
  getState(): { readonly statuses: ReadonlyMap<string, TaskState> };
}

export class Tally {
  /** Rises when tasks come or go. */
  shape = 0;

  #tree: () => TaskTree;
  #described: TaskTree;
  #entries = new Map<string, Entry>();
  #touched: Entry[] = [];
  /** Tasks have come or gone since it was told last. */
  #isOther = false;
  #calls = new Map<string, Set<() => void>>();
  #shapeCalls = new Set<() => void>();

  /** @param tree as it is described now */
  constructor(tree: () => TaskTree) {
    this.#tree = tree;
    this.#described = tree();
  }

  /** Takes what there is, and whatever comes; returns what ends it. */
  follow(store: Known): () => void {
    this.#begin(store.getState().statuses);
    return store.changes.add(({ tasks, described, complete }) => {
      if (described && !this.#tree().hasGroupsOf(this.#described)) this.#begin(store.getState().statuses);
      else this.take(tasks, complete);
    });
  }

  /** Forgets what it knew: what is a group now may not have been one. */
  #begin(statuses: ReadonlyMap<string, TaskState>): void {
    this.#described = this.#tree();
    this.#entries = new Map();
    for (const [path, state] of statuses) this.#set(path, state);
    this.#settle();
    for (const calls of this.#calls.values()) calls.forEach((call) => call());
    this.#reshaped();
  }

  /** @param complete whether these are all of a revision: who listens is told then, and not of each part of it */
  take(changes: readonly Pick<TaskChange, 'path' | 'now'>[], complete = true): void {
    for (const { path, now } of changes) if (this.#set(path, now)) this.#isOther = true;
    if (!complete) return;
    for (const { path } of this.#settle()) this.#calls.get(path)?.forEach((call) => call());
    if (this.#isOther) this.#reshaped();
  }

  /** The state of a task, if it was sent. */
  state(path: string): TaskState | undefined {
    return this.#entries.get(path)?.state ?? undefined;
  }

  /** What is known of a group. The same object as long as nothing of it has changed. */
  group(path: string): Group {
    const entry = this.#entries.get(path);
    const node = entry?.node;
    if (!entry || !node) return NO_GROUP;
    look(entry, node);
    return (node.shown ??= { below: { ...node.below }, deep: { ...node.deep }, span: { start: node.start, end: node.end } });
  }

  /** Whether a task is of a status, or any below it that is no group. */
  has(path: string, wanted: keyof Counts): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && has(entry, wanted);
  }

  /** The numbers of the items of a foreach that are of a status or have such tasks below them, in order. */
  itemsWith(foreach: string, wanted: keyof Counts): number[] {
    const found: number[] = [];
    this.#entries.get(foreach)?.node?.items.forEach((entry, index) => {
      if (has(entry, wanted)) found.push(index);
    });
    return found;
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

  /** The groups of which something has changed since this was last asked. */
  #settle(): Entry[] {
    const touched = this.#touched;
    this.#touched = [];
    for (const { node } of touched) {
      if (!node) continue;
      node.touched = false;
      node.shown = null;
    }
    return touched;
  }

  #reshaped(): void {
    this.#isOther = false;
    this.shape += 1;
    this.#shapeCalls.forEach((call) => call());
  }

  /** Takes one state; whether a task came or went, or its items became a rollup or none. */
  #set(path: string, now: TaskState | null): boolean {
    const entry = this.#entry(path);
    const before = entry.state;
    // The items of a foreach that has a rollup are among what that counts, and are not counted by themselves.
    const flips = Boolean(before?.rollup) !== Boolean(now?.rollup);
    const below = flips ? knownBelow(entry) : [];
    for (const each of below) contribute(each, -1);
    contribute(entry, -1);
    entry.state = now;
    contribute(entry, 1);
    for (const each of below) contribute(each, 1);
    for (let at: Entry | null = entry; at !== null; at = at.above) {
      const node = at.node;
      if (node === null) continue;
      widen(node, before, now);
      if (node.touched) continue;
      node.touched = true;
      this.#touched.push(at);
    }
    if (now === null) this.#forget(entry);
    return flips || !before !== !now;
  }

  #entry(path: string): Entry {
    let entry = this.#entries.get(path);
    if (entry) return entry;
    const up = paths.parent(path);
    const above = up === null ? null : this.#entry(up);
    entry = { path, above, isGroup: this.#described.isGroup(path), index: paths.itemIndex(path), state: null, node: null };
    this.#entries.set(path, entry);
    if (above) {
      const node = nodeOf(above);
      if (entry.index === null) node.named.add(entry);
      else node.items[entry.index] = entry;
    }
    return entry;
  }

  /** An entry without a state is kept for what is below it. */
  #forget({ path, above, index, node }: Entry): void {
    if (node) return;
    const entry = this.#entries.get(path);
    if (!entry || !above?.node) return;
    this.#entries.delete(path);
    if (index === null) above.node.named.delete(entry);
    else delete above.node.items[index];
  }
}

function nodeOf(entry: Entry): Node {
  if (entry.node) return entry.node;
  const node: Node = {
    below: { ...EMPTY }, deep: { ...EMPTY }, named: new Set(), items: [], start: null, end: null, dirty: false, touched: false, shown: null,
  };
  widen(node, null, entry.state);
  return (entry.node = node);
}

function has({ state, node }: Entry, wanted: keyof Counts): boolean {
  if (state && (wanted === 'stale' ? state.stale : state.status === wanted)) return true;
  return node !== null && node.deep[wanted] > 0;
}

/** Adds what a task counts for, or takes it away. */
function contribute(entry: Entry, by: number): void {
  const { state, above, isGroup } = entry;
  if (state === null) return;
  for (let at = above; at !== null; at = at.above) if (at.state?.rollup) return;
  const { rollup } = state;
  if (rollup) {
    const node = nodeOf(entry);
    countRollup(node.below, rollup, by);
    countRollup(node.deep, rollup, by);
  }
  if (above?.node) count(above.node.below, state, by);
  for (let at = above; at !== null; at = at.above) {
    if (at.node === null) continue;
    if (!isGroup) count(at.node.deep, state, by);
    if (rollup) countRollup(at.node.deep, rollup, by);
  }
}

function knownBelow({ node }: Entry): Entry[] {
  const found: Entry[] = [];
  const add = (entry: Entry) => {
    found.push(entry);
    entry.node?.named.forEach(add);
    entry.node?.items.forEach(add);
  };
  node?.named.forEach(add);
  node?.items.forEach(add);
  return found;
}

/** Looks at those below where an edge of the span is not known. */
function look(entry: Entry, node: Node): void {
  if (!node.dirty) return;
  node.dirty = false;
  node.start = node.end = null;
  widen(node, null, entry.state);
  const add = (below: Entry) => {
    if (!below.node) return widen(node, null, below.state);
    look(below, below.node);
    reach(node, below.node.start, below.node.end);
  };
  node.named.forEach(add);
  node.items.forEach(add);
}

/** A task has begun or ended at other times than before. */
function widen(node: Node, before: TaskState | null, now: TaskState | null): void {
  const was = before?.executionTime ?? null;
  const is = now?.executionTime ?? null;
  // The duration of a group is that of its own function.
  const wasEnd = before === null || was === null || before.duration === null ? null : was + before.duration;
  const isEnd = now === null || is === null || now.duration === null ? null : is + now.duration;
  if ((was !== null && was === node.start && was !== is) || (wasEnd !== null && wasEnd === node.end && wasEnd !== isEnd)) node.dirty = true;
  reach(node, is, isEnd);
}

function reach(node: Node, start: number | null, end: number | null): void {
  if (start !== null && (node.start === null || start < node.start)) node.start = start;
  if (end !== null && (node.end === null || end > node.end)) node.end = end;
}

function count(counts: Record<keyof Counts, number>, { status, stale }: TaskState, by: number): void {
  counts[status] += by;
  if (stale) counts.stale += by;
}

function countRollup(counts: Record<keyof Counts, number>, rollup: Counts, by: number): void {
  for (const status of KEYS) counts[status] += by * rollup[status];
}
