/**
 * The state of one instance, made of the packets that a watch hands on. No DOM here.
 *
 * Statuses are replaced, never changed, so that whoever shows a task can compare what it had with what is there.
 */
import { Listeners } from './listeners.js';
import { ROOT, item, itemIndex, parent, template } from './paths.js';

/** @typedef {{status: string, stale?: boolean, progress?: {fraction: number, message?: string}, executionTime?: number,
 *   duration?: number, expectedDuration?: number, attempt?: number, retry?: {try: number, attempts: number, nextAt?: number},
 *   error?: object, reason?: string, rollup?: Record<string, number>}} TaskState */

/** What a status that was never sent means. @type {TaskState} */
export const INACTIVE = Object.freeze({ status: 'inactive' });

const COUNTED = ['ok', 'failed', 'running', 'queued', 'skipped', 'cancelled', 'inactive'];

export class InstanceStore {
  /** Called with {described, everything, paths: Set, instance} after each revision. */
  changes = new Listeners();
  revision = 0;
  /** The instance's own status, or null before the first revision. */
  status = null;
  progress = null;

  /** The described tasks at the root, and all by path; what is below a foreach has `[*]` in its path. */
  #root = null;
  #nodes = new Map();
  /** @type {Map<string, TaskState>} */
  #statuses = new Map();
  /** How many items of a foreach are known; one inside an item is not described with its count. */
  #items = new Map();
  /** The spans of groups, by their states: a group whose subtree runs again gets another state. */
  #spans = new WeakMap();
  #stale = 0;
  #failed = 0;

  /**
   * @param {object[]} packets of one revision
   * @param {boolean} [fresh] whether they replace everything that was known
   */
  apply(packets, fresh = false) {
    const change = { described: false, everything: fresh, paths: new Set(), instance: false };
    if (fresh) {
      this.#statuses = new Map();
      this.#items = new Map();
      this.#stale = this.#failed = 0;
    }
    for (const packet of packets) {
      this.revision = packet.revision;
      if (packet.type === 'workflowDescription') {
        this.#describe(packet.tasks, packet.continues === true);
        change.described = true;
      } else if (packet.type === 'setTasksStatuses') {
        for (const [path, state] of Object.entries(packet.statuses)) {
          this.#set(path, state);
          change.paths.add(path);
        }
        if (packet.removed?.length) this.#remove(new Set(packet.removed), change.paths);
      } else if (packet.type === 'setWorkflowStatus') {
        this.status = packet.status;
        this.progress = packet.progress;
        change.instance = true;
      }
    }
    this.changes.call(change);
  }

  get isDescribed() {
    return this.#root !== null;
  }

  /** Whether a finished task is known to be stale. */
  get hasStale() {
    return this.#stale > 0;
  }

  /** Whether a failed task is known. */
  get hasFailed() {
    return this.#failed > 0;
  }

  /** How the task at a path is described, or undefined; the items of a foreach are as the foreach is. */
  description(path) {
    return this.#nodes.get(template(path).replace(/\[\*\]$/, ''));
  }

  /** What its author says of the task at a path. */
  about(path) {
    return (path.endsWith(']') ? null : this.description(path)?.description) ?? '';
  }

  /** The state of the task at a path. @returns {TaskState} */
  state(path) {
    return this.#statuses.get(path) ?? INACTIVE;
  }

  /** Whether the state of the task at a path was sent. */
  knows(path) {
    return this.#statuses.has(path);
  }

  isForeach(path) {
    return !path.endsWith(']') && (this.description(path)?.foreach ?? false);
  }

  /** How many items a foreach has; 0 while its list was not read. */
  count(path) {
    return this.description(path)?.count ?? this.state(path).rollup?.total ?? this.#items.get(path) ?? 0;
  }

  /** Whether there are tasks below one. */
  isGroup(path) {
    return this.isForeach(path) || this.children(path).length > 0;
  }

  /** The paths of the named tasks right below one; the items of a foreach are not among them. */
  children(path) {
    if (this.isForeach(path)) return [];
    const nodes = path === ROOT ? this.#root : this.description(path)?.children;
    return (nodes ?? []).map((node) => `${path}.${node.name}`);
  }

  /** Everything that is shown of a task. */
  task(path) {
    return {
      state: this.state(path),
      about: this.about(path),
      rollup: this.isGroup(path) ? this.rollup(path) : null,
      span: this.span(path),
      count: this.isForeach(path) ? this.count(path) : null,
    };
  }

  /**
   * When a task began and how long it took, in ms. A group takes as long as its subtree, whose states tell that;
   * null where they are not known, and as a duration while it runs.
   *
   * @returns {{start: number | null, duration: number | null}}
   */
  span(path) {
    const state = this.state(path);
    const foreach = this.isForeach(path);
    if (!this.isGroup(path)) {
      return { start: state.executionTime ?? null, duration: state.duration ?? null };
    }
    const known = this.knows(path) && this.#spans.get(state);
    if (known) return known;
    const below = foreach ? Array.from({ length: this.count(path) }, (_, index) => item(path, index)) : this.children(path);
    let start = state.executionTime ?? null;
    let end = start === null ? null : start + (state.duration ?? 0);
    for (const child of below) {
      const part = this.span(child);
      if (part.start === null) continue;
      start = Math.min(start ?? part.start, part.start);
      end = Math.max(end ?? 0, part.start + (part.duration ?? 0));
    }
    const isOver = state.status !== 'running' && state.status !== 'queued';
    const isKnown = !foreach || below.length === 0 || this.knows(below[0]);
    const span = { start, duration: isOver && isKnown && end !== null ? end - start : null };
    // While a group runs, only its start is asked for, and that stays.
    if (this.knows(path) && isKnown && (isOver || start !== null)) this.#spans.set(state, span);
    return span;
  }

  /** How many tasks below a group have which status, or null for a task that is no group. */
  rollup(path) {
    const { rollup } = this.state(path);
    if (rollup) return rollup;
    const count = this.isForeach(path) ? this.count(path) : 0;
    if (!count || !this.knows(item(path, 0))) return null;
    const counts = { total: count, stale: 0 };
    for (const status of COUNTED) counts[status] = 0;
    for (let index = 0; index < count; index += 1) {
      const state = this.state(item(path, index));
      counts[state.status] += 1;
      if (state.stale) counts.stale += 1;
    }
    return counts;
  }

  /** The numbers of the items of a foreach that have this status, in order. */
  itemsWith(path, status) {
    const found = [];
    const count = this.count(path);
    for (let index = 0; index < count; index += 1) {
      if (this.state(item(path, index)).status === status) found.push(index);
    }
    return found;
  }

  /** A large tree comes in parts: one that continues names tasks again that are there, with further children. */
  #describe(tasks, continues) {
    if (!continues || this.#root === null) {
      this.#root = [];
      this.#nodes = new Map();
    }
    const add = (siblings) => (node) => {
      let here = this.#nodes.get(node.path);
      if (!here) {
        here = { ...node, children: [] };
        this.#nodes.set(node.path, here);
        siblings.push(here);
      }
      node.children.forEach(add(here.children));
    };
    tasks.forEach(add(this.#root));
  }

  #set(path, state) {
    const before = this.#statuses.get(path);
    if (before) this.#count(before, -1);
    else this.#meet(path);
    this.#count(state, 1);
    this.#statuses.set(path, state);
  }

  #meet(path) {
    const index = itemIndex(path);
    if (index === null) return;
    const foreach = parent(path);
    this.#items.set(foreach, Math.max(this.#items.get(foreach) ?? 0, index + 1));
  }

  #count(state, by) {
    if (state.stale || state.rollup?.stale > 0) this.#stale += by;
    if (state.status === 'failed') this.#failed += by;
  }

  #remove(removed, changed) {
    for (const path of removed) {
      const index = itemIndex(path);
      if (index !== null) this.#items.set(parent(path), Math.min(this.#items.get(parent(path)) ?? 0, index));
    }
    for (const path of this.#statuses.keys()) {
      for (let at = path; at !== null; at = parent(at)) {
        if (!removed.has(at)) continue;
        this.#count(this.#statuses.get(path), -1);
        this.#statuses.delete(path);
        changed.add(path);
        break;
      }
    }
  }
}
