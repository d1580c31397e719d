/** Task paths: `#` the root, `.name` a named child, `[3]` the fourth item of a foreach. No DOM here. */

export const ROOT = '#';

/** The path of the task above, or null for the root. */
export function parent(path) {
  const cut = Math.max(path.lastIndexOf('.'), path.lastIndexOf('['));
  return cut > 0 ? path.slice(0, cut) : null;
}

/** The paths of all tasks above, the root first. */
export function ancestors(path) {
  const above = [];
  for (let at = parent(path); at !== null; at = parent(at)) above.unshift(at);
  return above;
}

/** Whether `path` is `ancestor` or stands below it. */
export function isUnder(path, ancestor) {
  return path === ancestor || (path.startsWith(ancestor) && '.['.includes(path[ancestor.length]));
}

/** The path of an item of a foreach. */
export function item(path, index) {
  return `${path}[${index}]`;
}

/** The number of the item that the path ends with, or null if it ends with a name. */
export function itemIndex(path) {
  const match = /\[(\d+)\]$/.exec(path);
  return match && Number(match[1]);
}

/** The last step of a path, as people read it: `resize` or `[17]`. */
export function lastStep(path) {
  const match = /(?:\.([^.[\]]+)|(\[\d+\]))$/.exec(path);
  return match ? (match[1] ?? match[2]) : path;
}

/** The path under which a task is described: a foreach describes its items once, as `[*]`. */
export function template(path) {
  return path.replace(/\[\d+\]/g, '[*]');
}

/** The path as it stands in the fragment of an address. The reverse is `fromFragment`. */
export function toFragment(path) {
  return ROOT + encodeURIComponent(path.slice(1)).replace(/%5B/g, '[').replace(/%5D/g, ']');
}

/** The path that the fragment of an address names, or null if it names none. */
export function fromFragment(fragment) {
  if (!fragment.startsWith('#.')) return null;
  try {
    return decodeURIComponent(fragment);
  } catch {
    return null;
  }
}
