/** Where moments stand on a timeline. Pure. */
import type { Span } from '@taskpath/react/core';

/** ms since epoch. */
export interface Scale {
  readonly from: number;
  readonly to: number;
}

export interface Tick {
  /** From 0 to 1. */
  readonly at: number;
  /** ms after the start. */
  readonly after: number;
}

/** From 0 to 1, cut at the edges. */
export interface Place {
  readonly left: number;
  readonly width: number;
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  1_000, 2_000, 5_000, 10_000, 15_000, 30_000,
  60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
  3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000,
  86_400_000, 172_800_000, 604_800_000,
];
/** Shorter than this a run is not drawn over the whole width. */
const SHORTEST = 1_000;

/**
 * The whole run. While it lasts there is room ahead, and the scale stays until that is used up: what is drawn does not
 * shrink a little with every tick.
 *
 * @param span of the run; without an end it lasts
 * @param before the scale of the last time
 */
export function wholeOf(span: Span, now: number, before: Scale | null): Scale {
  const from = span.start ?? now;
  if (span.end !== null) return { from, to: Math.max(span.end, from + 1) };
  if (before && before.from === from && now <= before.to && now - from > (before.to - from) / 4) return before;
  return { from, to: from + Math.max(SHORTEST, (Math.max(now, from) - from) * 1.4) };
}

/** A part of a scale nearer or farther, around a point from 0 to 1; never more than the whole. */
export function zoomed(scale: Scale, by: number, whole: Scale, around = 0.5): Scale {
  const length = Math.min(whole.to - whole.from, Math.max(5, (scale.to - scale.from) / by));
  const from = scale.from + (scale.to - scale.from - length) * around;
  return within({ from, to: from + length }, whole);
}

/** Moved along by a share of its length. */
export function moved(scale: Scale, by: number, whole: Scale): Scale {
  const offset = (scale.to - scale.from) * by;
  return within({ from: scale.from + offset, to: scale.to + offset }, whole);
}

function within(scale: Scale, whole: Scale): Scale {
  const length = Math.min(scale.to - scale.from, whole.to - whole.from);
  const from = Math.min(Math.max(scale.from, whole.from), whole.to - length);
  return { from, to: from + length };
}

/** How wide a tick has to be for its words not to touch those of the next, in pixels: `12:30 min`. */
const TICK = 76;

/** How many ticks there is room for. */
export function roomFor(width: number): number {
  return Math.max(1, Math.min(8, Math.floor(width / TICK)));
}

/** Marks at round numbers since the start of the run; about as many as asked for. */
export function ticksOf(scale: Scale, start: number, wanted: number): Tick[] {
  const length = scale.to - scale.from;
  const step = STEPS.find((one) => length / one <= wanted) ?? Math.ceil(length / wanted / 604_800_000) * 604_800_000;
  const ticks: Tick[] = [];
  for (let after = Math.ceil((scale.from - start) / step) * step; start + after <= scale.to; after += step) {
    ticks.push({ at: (start + after - scale.from) / length, after });
  }
  return ticks;
}

/** A tick in words: all of one scale are told in the same unit. */
export function tickText(after: number, step: number): string {
  if (after === 0) return '0';
  if (step < 1_000) return after < 1_000 ? `${after} ms` : `${(after / 1_000).toFixed(step < 10 ? 3 : step < 100 ? 2 : 1)} s`;
  const seconds = Math.round(after / 1_000);
  const [s, m, h] = [seconds % 60, Math.floor(seconds / 60) % 60, Math.floor(seconds / 3_600)];
  if (h > 0) return m === 0 && s === 0 ? `${h} h` : `${h}:${two(m)}${s ? `:${two(s)}` : ''} h`;
  if (m > 0) return s === 0 ? `${m} min` : `${m}:${two(s)} min`;
  return `${s} s`;
}

/**
 * Where a span stands; null if it is not seen.
 *
 * @param now where it ends if it has not
 */
export function placeOf(span: Span, scale: Scale, now: number): Place | null {
  if (span.start === null) return null;
  const length = scale.to - scale.from;
  const end = Math.max(span.start, span.end ?? now);
  if (end < scale.from || span.start > scale.to) return null;
  const left = Math.max(0, (span.start - scale.from) / length);
  const right = Math.min(1, (end - scale.from) / length);
  return { left, width: Math.max(0, right - left) };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
