/** Which rows of a long list are drawn: those that are seen, and a few around them. Pure. */
export interface Seen {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** Rows drawn beyond what is seen, so that scrolling does not show a gap. */
const AROUND = 8;
/** It changes by steps, so that scrolling by a pixel draws nothing anew. */
const STEP = 4;

/**
 * @param top how far it is scrolled, in pixels
 * @param height of what is seen, in pixels
 * @param row height of a row, in pixels
 * @param count how many rows there are
 */
export function windowOf(top: number, height: number, row: number, count: number): Seen {
  const first = Math.floor(Math.max(0, top) / row / STEP) * STEP;
  const last = Math.ceil((Math.max(0, top) + height) / row / STEP) * STEP;
  const to = Math.min(count, last + AROUND);
  return { from: Math.max(0, Math.min(first - AROUND, to)), to };
}

/** How far to scroll so that a row is seen; null if it is. */
export function scrollTo(index: number, top: number, height: number, row: number, middle = false): number | null {
  const at = index * row;
  if (at >= top && at + row <= top + height) return null;
  if (middle) return Math.max(0, at - height / 2 + row / 2);
  return at < top ? at : at + row - height;
}
