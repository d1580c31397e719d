/** Which groups of a tree are open, however its rows are shown. Pure. */
import * as paths from './paths.js';
import type { TaskTree } from './tree.js';

/**
 * The groups opened, level by level, as far as that is still something to look at; a foreach stays closed.
 *
 * @param most so many rows are shown at first.
 */
export function openedAtFirst(tree: TaskTree, most: number): ReadonlySet<string> {
  const open = new Set<string>();
  let level = tree.children(paths.ROOT);
  let shown = level.length;
  while (level.length > 0) {
    const next: string[] = [];
    for (const path of level) {
      const children = tree.children(path);
      if (children.length === 0 || shown + children.length > most) continue;
      open.add(path);
      shown += children.length;
      next.push(...children);
    }
    level = next;
  }
  return open;
}

/** An outline with a group opened or closed. */
export function toggled<O extends { readonly open: ReadonlySet<string> }>(outline: O, path: string, isOpen: boolean): O {
  const open = new Set(outline.open);
  if (isOpen) open.add(path);
  else open.delete(path);
  return { ...outline, open };
}

/** The task to which the keyboard goes when the one it was on is no longer shown: the nearest one above it that is. */
export function nearest(path: string | null, isShown: (path: string) => boolean): string | null {
  for (let at = path; at !== null; at = paths.parent(at)) if (isShown(at)) return at;
  return null;
}
