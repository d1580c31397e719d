/** The tasks of an instance as they are described. Immutable: a change makes another one. */
import type { TaskNode } from './packets.js';
import { ROOT, template } from './paths.js';

export class TaskTree {
  static readonly EMPTY = new TaskTree([], new Map());

  private constructor(
    /** The tasks at the root. */
    readonly tasks: readonly TaskNode[],
    private readonly nodes: ReadonlyMap<string, TaskNode>,
  ) {}

  /** The tree with what one packet says of it. A large tree comes in parts; one that `continues` adds to it. */
  with(tasks: readonly TaskNode[], continues: boolean): TaskTree {
    const root: TaskNode[] = [];
    const nodes = new Map<string, TaskNode>();
    const addTo = (siblings: TaskNode[]) => (node: TaskNode) => {
      let here = nodes.get(node.path);
      if (!here) {
        here = { ...node, children: [] };
        nodes.set(node.path, here);
        siblings.push(here);
      }
      node.children.forEach(addTo(here.children));
    };
    if (continues) this.tasks.forEach(addTo(root));
    tasks.forEach(addTo(root));
    return new TaskTree(root, nodes);
  }

  /** How the task at a path is described; the items of a foreach are as the foreach is. */
  node(path: string): TaskNode | undefined {
    const end = path.endsWith(']') ? path.lastIndexOf('[') : path.length;
    return this.nodes.get(template(path.slice(0, end)));
  }

  /** What its author says of the task. */
  description(path: string): string {
    return path.endsWith(']') ? '' : (this.node(path)?.description ?? '');
  }

  isForeach(path: string): boolean {
    return !path.endsWith(']') && (this.node(path)?.foreach ?? false);
  }

  /** Whether there are tasks below it, or may be. */
  isGroup(path: string): boolean {
    return path === ROOT || this.isForeach(path) || (this.node(path)?.children.length ?? 0) > 0;
  }

  /** Whether the same tasks are groups, and the same of them foreaches, in another tree. */
  hasGroupsOf(other: TaskTree): boolean {
    if (this.nodes.size !== other.nodes.size) return false;
    for (const path of this.nodes.keys()) {
      if (!other.has(path) || this.isForeach(path) !== other.isForeach(path) || this.isGroup(path) !== other.isGroup(path)) return false;
    }
    return true;
  }

  /** Whether there is such a task, as far as the description tells. */
  has(path: string): boolean {
    return path === ROOT || this.node(path) !== undefined;
  }

  /** The paths of the named tasks right below one; the items of a foreach are not among them. */
  children(path: string): string[] {
    if (this.isForeach(path)) return [];
    const nodes = path === ROOT ? this.tasks : this.node(path)?.children;
    return (nodes ?? []).map(({ name }) => `${path}.${name}`);
  }
}
