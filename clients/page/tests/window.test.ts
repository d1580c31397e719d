import { expect, test } from 'vitest';
import { scrollTo, windowOf } from '../src/ui/window.js';

test('what is drawn covers what is seen, and not much more, however many there are', () => {
  for (const count of [0, 1, 50, 10_000, 100_000]) {
    for (let top = 0; top < Math.min(count * 28, 5_000); top += 13) {
      const { from, to } = windowOf(top, 600, 28, count);
      expect(from).toBeLessThanOrEqual(Math.floor(top / 28));
      expect(to).toBeGreaterThanOrEqual(Math.min(count, Math.ceil((top + 600) / 28)));
      expect(to - from).toBeLessThan(22 + 2 * 8 + 2 * 4 + 1);
    }
  }
});

test('it stays within the list when that has become shorter', () => {
  expect(windowOf(100_000, 600, 28, 10)).toEqual({ from: 10, to: 10 });
});

test('scrolling by a pixel changes nothing', () => {
  expect(windowOf(1_121, 600, 28, 10_000)).toEqual(windowOf(1_125, 600, 28, 10_000));
});

test('a row that is seen stays where it is, another one is scrolled to', () => {
  expect(scrollTo(5, 0, 600, 28)).toBeNull();
  expect(scrollTo(5, 1_000, 600, 28)).toBe(140);
  expect(scrollTo(100, 0, 600, 28)).toBe(2_800 + 28 - 600);
  expect(scrollTo(100, 0, 600, 28, true)).toBe(2_800 - 300 + 14);
});
