/** How far an instance is, as a bar shows it. Pure. */
import { isActive } from './rollup.js';
import type { InstanceState } from './state.js';

/**
 * From 0 to 1: what the server counts, in which each task at the root weighs the same, and what those that run say of
 * themselves.
 */
export function fractionOf(state: InstanceState): number {
  const { progress, status, tree } = state;
  if (status === 'done') return 1;
  const roots = tree.tasks;
  let said = 0;
  for (const { name, children, foreach } of roots) {
    const task = state.task(`#.${name}`);
    if (children.length === 0 && !foreach && isActive(task.status)) said += task.progress?.fraction ?? 0;
  }
  return Math.min(1, progress.fraction + (roots.length > 0 ? said / roots.length : 0));
}

/** The running task to speak of: the innermost one that is first in the tree. */
export function currentTask(state: InstanceState): string | null {
  const within = (path: string): string | null => {
    for (const child of state.tree.children(path)) {
      if (state.task(child).status === 'running') return within(child) ?? child;
    }
    return null;
  };
  return within('#');
}
