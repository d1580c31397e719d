/** What the addresses of the page mean. Pure. */
import type { InstanceStatus } from '@taskpath/react/core';

export interface Filter {
  readonly status: InstanceStatus | null;
  readonly workflow: string;
  /** How the name begins. */
  readonly name: string;
  readonly realm: string;
}

export type View = 'tree' | 'timeline';

export type Place =
  | { readonly page: 'instances'; readonly filter: Filter }
  | { readonly page: 'instance'; readonly id: string; readonly path: string | null; readonly view: View }
  | { readonly page: 'workflows'; readonly name: string | null }
  | { readonly page: 'executors' }
  | { readonly page: 'nowhere' };

export const STATUSES: readonly InstanceStatus[] = ['working', 'failed', 'done', 'cancelled', 'inactive'];
export const NO_FILTER: Filter = { status: null, workflow: '', name: '', realm: '' };

/** Where an address leads. */
export function placeOf({ pathname, search, hash }: Pick<URL, 'pathname' | 'search' | 'hash'>): Place {
  const asked = new URLSearchParams(search);
  const [, first = '', second, ...more] = pathname.split('/');
  if (first === '' && second === undefined) return { page: 'instances', filter: filterOf(asked) };
  if (more.length === 0) {
    if (first === 'i' && second) {
      const view = asked.get('view') === 'timeline' ? 'timeline' : 'tree';
      return { page: 'instance', id: decoded(second), path: pathOf(hash), view };
    }
    if (first === 'workflows') return { page: 'workflows', name: second ? decoded(second) : null };
    if (first === 'executors' && !second) return { page: 'executors' };
  }
  return { page: 'nowhere' };
}

/** The address of the list with a filter. */
export function listAddress(filter: Filter = NO_FILTER): string {
  const said = Object.entries(filter).filter(([, value]) => value) as [string, string][];
  const search = new URLSearchParams(said).toString();
  return search ? `/?${search}` : '/';
}

/** The address of an instance, or of a task in it. */
export function instanceAddress(id: string, path: string | null = null, view: View = 'tree'): string {
  const search = view === 'timeline' ? '?view=timeline' : '';
  const fragment = path === null ? '' : path.replace(/[%\s"<>`]/g, encodeURIComponent);
  return `/i/${encodeURIComponent(id)}${search}${fragment}`;
}

export function workflowAddress(name: string): string {
  return `/workflows/${encodeURIComponent(name)}`;
}

function filterOf(asked: URLSearchParams): Filter {
  const status = STATUSES.find((one) => one === asked.get('status')) ?? null;
  const text = (name: string) => asked.get(name) ?? '';
  return { status, workflow: text('workflow'), name: text('name'), realm: text('realm') };
}

/** The fragment is the path itself: `#.import.resize[17]`. */
function pathOf(hash: string): string | null {
  return hash.startsWith('#.') ? decoded(hash) : null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
