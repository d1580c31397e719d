/**
 * What several parts of a page want to see of one instance, as the patterns of one watch. Pure.
 *
 * The server sends all tasks but the items of a large foreach, which is a rollup unless its items are named.
 */
import { namesItems } from './paths.js';

/** The server takes no more patterns. */
const MOST = 100;
/** More items of one foreach than this are named together. */
const MOST_ITEMS = 50;

const EVERYTHING = '#.**';

/**
 * The patterns to watch; undefined where the server's own choice will do.
 *
 * @param wanted of each interest its patterns; undefined for everything
 * @param isCollapsed whether a task is below a foreach that is shown as a rollup, and comes only if it is named
 */
export function patternsOf(
  wanted: Iterable<readonly string[] | undefined>,
  isCollapsed: (path: string) => boolean,
): readonly string[] | undefined {
  let everything = false;
  const named = new Set<string>();
  for (const patterns of wanted) {
    if (patterns === undefined || patterns.includes(EVERYTHING)) everything = true;
    for (const pattern of patterns ?? []) named.add(pattern);
  }
  named.delete(EVERYTHING);
  if (everything) {
    for (const pattern of named) if (!namesItems(pattern) || !isCollapsed(pattern)) named.delete(pattern);
    if (named.size === 0) return undefined;
  }
  const few = together([...named], everything ? MOST - 1 : MOST);
  return (everything ? [EVERYTHING, ...few] : few).sort();
}

/** Fewer patterns that cover at least the same: items by their foreach, then everything. */
function together(patterns: readonly string[], most: number): string[] {
  const siblings = new Map<string, string[]>();
  for (const pattern of patterns) {
    const all = pattern.replace(/\[\d+\]/g, '[*]');
    siblings.set(all, [...(siblings.get(all) ?? []), pattern]);
  }
  const few = [...siblings].flatMap(([all, each]) => (each.length > MOST_ITEMS ? [all] : each));
  if (few.length <= most) return few;
  const fewer = [...siblings.keys()];
  if (fewer.length <= most) return fewer;
  return [EVERYTHING, ...fewer.filter(namesItems)].slice(0, most);
}
