/** Task paths: `#` the root, `.name` a named child, `[3]` the fourth item of a foreach. */

export const ROOT = '#';

/** The path of the task above, or null for the root. */
export function parent(path: string): string | null {
  const cut = Math.max(path.lastIndexOf('.'), path.lastIndexOf('['));
  return cut > 0 ? path.slice(0, cut) : null;
}

/** The paths of all tasks above, the root first. */
export function ancestors(path: string): string[] {
  const above: string[] = [];
  for (let at = parent(path); at !== null; at = parent(at)) above.unshift(at);
  return above;
}

/** Whether `path` is `ancestor` or stands below it. */
export function isUnder(path: string, ancestor: string): boolean {
  if (!path.startsWith(ancestor)) return false;
  const next = path[ancestor.length];
  return next === undefined || next === '.' || next === '[';
}

/** The path of an item of a foreach. */
export function item(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** The number of the item that the path ends with, or null if it ends with a name. */
export function itemIndex(path: string): number | null {
  if (!path.endsWith(']')) return null;
  const index = Number(path.slice(path.lastIndexOf('[') + 1, -1));
  return Number.isInteger(index) ? index : null;
}

/** The last step of a path, as people read it: `resize` or `[17]`. */
export function lastStep(path: string): string {
  if (path.endsWith(']')) return path.slice(path.lastIndexOf('['));
  return path.slice(path.lastIndexOf('.') + 1);
}

/** The path under which a task is described: a foreach describes its items once, as `[*]`. */
export function template(path: string): string {
  return path.includes('[') ? path.replace(/\[\d+\]/g, '[*]') : path;
}

/** Whether a pattern, or a path, names items of a foreach. */
export function namesItems(pattern: string): boolean {
  return pattern.includes('[');
}
