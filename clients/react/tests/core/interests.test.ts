import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { patternsOf } from '../../src/core/interests.js';
import { covers } from '../support/gateway.js';

const never = () => false;
const always = () => true;

describe('what several parts of a page want to see', () => {
  it('is everything if one wants everything, and the items that would not come by themselves', () => {
    expect(patternsOf([undefined, ['#.a'], ['#.each[3]']], never)).toBeUndefined();
    expect(patternsOf([undefined, ['#.a'], ['#.each[3]']], always)).toEqual(['#.**', '#.each[3]']);
    expect(patternsOf([['#.**'], ['#.a']], never)).toBeUndefined();
  });

  it('is what each of them names, once', () => {
    expect(patternsOf([['#.b'], ['#.a'], ['#.b']], never)).toEqual(['#.a', '#.b']);
    expect(patternsOf([['#']], never)).toEqual(['#']);
  });

  it('is the same whatever the order', () => {
    expect(patternsOf([['#.a', '#.b'], ['#.c']], never)).toEqual(patternsOf([['#.c', '#.b'], ['#.a']], never));
  });

  it('names many items of one foreach together', () => {
    const items = Array.from({ length: 51 }, (_, index) => [`#.each[${index}]`]);
    expect(patternsOf(items, always)).toEqual(['#.each[*]']);
    expect(patternsOf(items.slice(1), always)).toHaveLength(50);
  });

  it('is never more than the server takes, and leaves nothing out', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    const step = fc.oneof(name.map((text) => `.${text}`), fc.nat({ max: 300 }).map((index) => `[${index}]`));
    const path = fc.array(step, { minLength: 1, maxLength: 3 }).map((steps) => `#.x${steps.join('')}`);
    fc.assert(
      fc.property(fc.array(path, { maxLength: 400 }), (wanted) => {
        const patterns = patternsOf(wanted.map((one) => [one]), always);
        expect(patterns!.length).toBeLessThanOrEqual(100);
        for (const one of wanted) expect(patterns!.some((pattern) => covers(pattern, one))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
