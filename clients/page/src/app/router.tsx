import { type AnchorHTMLAttributes, type MouseEvent, useMemo, useSyncExternalStore } from 'react';
import { type Place, placeOf } from './address.js';

const CHANGED = 'taskpath:place';

function subscribe(call: () => void): () => void {
  const events = ['popstate', 'hashchange', CHANGED];
  for (const event of events) addEventListener(event, call);
  return () => events.forEach((event) => removeEventListener(event, call));
}

/** Where the page is. */
export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => location.href);
  return useMemo(() => placeOf(new URL(href)), [href]);
}

/** Goes to another address of the page, without loading it anew. */
export function go(address: string, { replace = false } = {}): void {
  if (address === location.pathname + location.search + location.hash) return;
  if (replace) history.replaceState(history.state, '', address);
  else history.pushState({ entry: `${Date.now()}-${Math.random()}` }, '', address);
  dispatchEvent(new Event(CHANGED));
}

/** Which entry of the history one is at: the same again when one comes back to it. */
export function entry(): string {
  const { entry = '' } = (history.state ?? {}) as { entry?: string };
  return entry;
}

export interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  href: string;
}

/** A link within the page; with a modifier the browser does what it always does. */
export function Link({ href, onClick, ...rest }: LinkProps) {
  const clicked = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain) return;
    event.preventDefault();
    go(href);
  };
  return <a href={href} onClick={clicked} {...rest} />;
}
