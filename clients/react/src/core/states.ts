/**
 * The states of an instance's tasks, as they were sent, and what is counted of them.
 *
 * What is handed out is never changed: states are replaced, and the map of them is copied before it is written to
 * when somebody has it. A change costs the same however many tasks there are.
 */
import { item, itemIndex, parent } from './paths.js';
import { type TaskState, sameJson } from './state.js';
import type { TaskTree } from './tree.js';

/** A task whose state has changed: what it was and is; null for not there. */
export interface TaskChange {
  readonly path: string;
  readonly before: TaskState | null;
  readonly now: TaskState | null;
}

type Changing = { -readonly [key in keyof TaskChange]: TaskChange[key] };

export class TaskStates {
  /** How many are stale, a foreach with a rollup counting as one. */
  stale = 0;
  /** How many have failed, groups among them. */
  failed = 0;

  #states = new Map<string, TaskState>();
  /** Somebody has `#states`. */
  #isLent = false;
  #rollups = 0;
  #changes = new Map<string, Changing>();
  /** How many items of a foreach are known; one inside an item is not described with its count. */
  #items = new Map<string, number>();
  /** By foreach: no item before this one has failed. */
  #sound = new Map<string, number>();

  get(path: string): TaskState | undefined {
    return this.#states.get(path);
  }

  /** All of them; the map stays as it is. */
  lend(): ReadonlyMap<string, TaskState> {
    this.#isLent = true;
    return this.#states;
  }

  /** How many items of a foreach are known. */
  countOf(foreach: string): number | undefined {
    return this.#items.get(foreach);
  }

  /** Whether a task is below a foreach that is shown as a rollup. */
  isCollapsed(path: string): boolean {
    if (this.#rollups === 0) return false;
    for (let at = parent(path); at !== null; at = parent(at)) if (this.#states.get(at)?.rollup) return true;
    return false;
  }

  set(path: string, state: TaskState): void {
    this.#own();
    const was = this.#states.get(path);
    const change = this.#change(path, was);
    // Who compares what it shows by identity need not draw again what was only said again.
    const now = change.before && sameJson(change.before, state) ? change.before : state;
    change.now = now;
    if (was) this.#count(was, -1);
    this.#count(now, 1);
    this.#states.set(path, now);
    if (was && now.status !== 'failed') return;
    const index = itemIndex(path);
    const foreach = parent(path);
    if (index === null || foreach === null) return;
    if (!was) this.#items.set(foreach, Math.max(this.#items.get(foreach) ?? 0, index + 1));
    if (now.status === 'failed') this.#sound.set(foreach, Math.min(this.#sound.get(foreach) ?? 0, index));
  }

  remove(path: string): void {
    const was = this.#states.get(path);
    if (!was) return;
    this.#own();
    this.#change(path, was).now = null;
    this.#count(was, -1);
    this.#states.delete(path);
  }

  /** Items are there no more, nor those after them. Returns the paths of what is known at and below them. */
  cut(items: readonly string[]): string[] {
    const gone = new Map<string, Set<string>>();
    for (const path of items) {
      const index = itemIndex(path);
      const foreach = parent(path);
      if (index === null || foreach === null) continue;
      this.#items.set(foreach, Math.min(this.#items.get(foreach) ?? 0, index));
      const start = `${foreach}[`;
      let numbers = gone.get(start);
      if (!numbers) gone.set(start, (numbers = new Set()));
      numbers.add(String(index));
    }
    const found: string[] = [];
    for (const path of this.#states.keys()) {
      for (const [start, numbers] of gone) {
        if (!path.startsWith(start) || !numbers.has(path.slice(start.length, path.indexOf(']', start.length)))) continue;
        found.push(path);
        break;
      }
    }
    return found;
  }

  /** Only these are there, and of each foreach as many items as they tell. Returns the paths of the others that are known. */
  keep(paths: ReadonlySet<string>): string[] {
    const others: string[] = [];
    for (const path of this.#states.keys()) if (!paths.has(path)) others.push(path);
    if (others.length === 0) return others;
    this.#items = new Map();
    for (const path of paths) {
      const index = itemIndex(path);
      const foreach = index === null ? null : parent(path);
      if (index !== null && foreach !== null) this.#items.set(foreach, Math.max(this.#items.get(foreach) ?? 0, index + 1));
    }
    return others;
  }

  /** What has changed since this was last asked. */
  takeChanges(): TaskChange[] {
    const found = [...this.#changes.values()].filter(({ before, now }) => before !== now);
    this.#changes = new Map();
    return found;
  }

  /** The innermost failed task that comes first in the tree. */
  firstFailure(tree: TaskTree): string | null {
    if (this.failed === 0) return null;
    const hasFailed = (path: string) => this.#states.get(path)?.status === 'failed';
    const within = (path: string): string | null => {
      for (const child of tree.children(path)) if (hasFailed(child)) return within(child) ?? child;
      if (!tree.isForeach(path)) return null;
      const count = this.#items.get(path) ?? 0;
      for (let index = this.#sound.get(path) ?? 0; index < count; index += 1) {
        const child = item(path, index);
        if (!hasFailed(child)) continue;
        this.#sound.set(path, index);
        return within(child) ?? child;
      }
      this.#sound.set(path, count);
      return null;
    };
    return within('#');
  }

  #own(): void {
    if (!this.#isLent) return;
    this.#states = new Map(this.#states);
    this.#isLent = false;
  }

  #change(path: string, was: TaskState | undefined): Changing {
    let change = this.#changes.get(path);
    if (!change) this.#changes.set(path, (change = { path, before: was ?? null, now: null }));
    return change;
  }

  #count(state: TaskState, by: number): void {
    if (state.stale || (state.rollup?.stale ?? 0) > 0) this.stale += by;
    if (state.status === 'failed') this.failed += by;
    if (state.rollup) this.#rollups += by;
  }
}
