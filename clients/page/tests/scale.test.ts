import { expect, test } from 'vitest';
import { moved, placeOf, roomFor, tickText, ticksOf, wholeOf, zoomed } from '../src/timeline/scale.js';

test('a run that is over fills the scale', () => {
  expect(wholeOf({ start: 100, end: 5_100 }, 9_999, null)).toEqual({ from: 100, to: 5_100 });
  expect(wholeOf({ start: 100, end: 100 }, 9_999, null)).toEqual({ from: 100, to: 101 });
});

test('while it runs the scale stays until its room is used up', () => {
  const span = { start: 0, end: null };
  let scale = wholeOf(span, 0, null);
  let changes = 0;
  for (let now = 0; now <= 600_000; now += 200) {
    const next = wholeOf(span, now, scale);
    if (next !== scale) changes += 1;
    expect(next.to).toBeGreaterThanOrEqual(now);
    scale = next;
  }
  expect(changes).toBeLessThan(25);
  expect(scale.to).toBeLessThan(600_000 * 1.5);
});

test('a run that began anew has a scale of its own', () => {
  const before = wholeOf({ start: 0, end: null }, 60_000, null);
  expect(wholeOf({ start: 61_000, end: null }, 61_500, before)).toEqual({ from: 61_000, to: 62_000 });
});

test('zooming and moving stay within the whole', () => {
  const whole = { from: 0, to: 1_000 };
  expect(zoomed(whole, 2, whole)).toEqual({ from: 250, to: 750 });
  expect(zoomed(whole, 2, whole, 1)).toEqual({ from: 500, to: 1_000 });
  expect(zoomed({ from: 250, to: 750 }, 1 / 4, whole)).toEqual(whole);
  expect(moved({ from: 250, to: 750 }, 0.5, whole)).toEqual({ from: 500, to: 1_000 });
  expect(moved({ from: 500, to: 1_000 }, 0.5, whole)).toEqual({ from: 500, to: 1_000 });
});

test('spans are cut at the edges, and what is outside is not drawn', () => {
  const scale = { from: 1_000, to: 2_000 };
  expect(placeOf({ start: 1_250, end: 1_500 }, scale, 0)).toEqual({ left: 0.25, width: 0.25 });
  expect(placeOf({ start: 0, end: 9_000 }, scale, 0)).toEqual({ left: 0, width: 1 });
  expect(placeOf({ start: 1_500, end: null }, scale, 1_600)?.width).toBeCloseTo(0.1);
  expect(placeOf({ start: 0, end: 900 }, scale, 0)).toBeNull();
  expect(placeOf({ start: 2_100, end: 2_200 }, scale, 0)).toBeNull();
  expect(placeOf({ start: null, end: null }, scale, 0)).toBeNull();
});

test('ticks stand at round times since the start, and not too many of them', () => {
  for (const length of [7, 130, 999, 5_000, 61_000, 3_600_000, 86_400_000 * 20]) {
    const ticks = ticksOf({ from: 500, to: 500 + length }, 500, 8);
    expect(ticks.length).toBeGreaterThan(2);
    expect(ticks.length).toBeLessThanOrEqual(9);
    expect(ticks[0]).toEqual({ at: 0, after: 0 });
  }
});

test('the axis has as many ticks as there is room for', () => {
  expect([roomFor(1_200), roomFor(160), roomFor(20)]).toEqual([8, 2, 1]);
  const ticks = ticksOf({ from: 0, to: 9_500 }, 0, roomFor(160));
  expect(ticks.map(({ after }) => after)).toEqual([0, 5_000]);
});

test('a tick is told as people say it', () => {
  expect([tickText(0, 5), tickText(250, 50), tickText(1_500, 500)]).toEqual(['0', '250 ms', '1.5 s']);
  expect([tickText(45_000, 15_000), tickText(90_000, 30_000), tickText(120_000, 30_000)]).toEqual(['45 s', '1:30 min', '2 min']);
  expect([tickText(3_600_000, 1_800_000), tickText(5_400_000, 1_800_000)]).toEqual(['1 h', '1:30 h']);
});
