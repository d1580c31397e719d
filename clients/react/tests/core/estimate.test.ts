import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimate, passed } from '../../src/core/estimate.js';
import type { TaskNode, TaskStatus } from '../../src/core/packets.js';
import { itemsWith, rollupOf, spanOf } from '../../src/core/rollup.js';
import type { TaskState } from '../../src/core/state.js';
import { TaskTree } from '../../src/core/tree.js';
import { node, state } from '../support/gateway.js';

const NOW = 1_000_000;

function tasks(nodes: TaskNode[], statuses: Record<string, TaskState> = {}) {
  return { tree: TaskTree.EMPTY.with(nodes, false), statuses: new Map(Object.entries(statuses)) };
}

describe('the estimate', () => {
  it('weighs tasks by how long they take', () => {
    const here = tasks([node('#.a'), node('#.b')], { '#.a': state('ok') });
    expect(estimate(here, { '#.a': 1_000, '#.b': 9_000 }, NOW)).toEqual({ fraction: 0.1, remaining: 9_000, isLate: false });
    expect(estimate(here, undefined, NOW)).toEqual({ fraction: 0.5, remaining: null, isLate: false });
  });

  it('takes from history what it is not told', () => {
    const statuses = { '#.a': state('ok', { expectedDuration: 3_000 }), '#.b': state('inactive', { expectedDuration: 1_000 }) };
    expect(estimate(tasks([node('#.a'), node('#.b')], statuses), undefined, NOW)).toMatchObject({ fraction: 0.75, remaining: 1_000 });
  });

  it('moves with time, never to the end of what is not done', () => {
    expect(passed(0, 100)).toBe(0);
    expect(passed(50, 100)).toBeCloseTo(0.45);
    expect(passed(100, 100)).toBeCloseTo(0.9);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.double({ min: 0, max: 1e9, noNaN: true }), (one, other) => {
        const [less, more] = one < other ? [one, other] : [other, one];
        expect(passed(less, 1_000)).toBeLessThanOrEqual(passed(more, 1_000));
        expect(passed(more, 1_000)).toBeLessThan(1);
      }),
    );
  });

  it('believes a task that says how far it is', () => {
    const running = state('running', { executionTime: NOW - 900, progress: { fraction: 0.25 } });
    expect(estimate(tasks([node('#.a')], { '#.a': running }), { '#.a': 1_000 }, NOW)).toMatchObject({ fraction: 0.25, remaining: 750 });
  });

  it('learns from the items that are over how long the others take', () => {
    const rollup = { total: 100, inactive: 70, queued: 0, running: 5, ok: 25, failed: 0, skipped: 0, cancelled: 0, stale: 0 };
    const each = state('running', { executionTime: NOW - 5_000, rollup });
    const { fraction, remaining } = estimate(tasks([node('#.each', { foreach: true })], { '#.each': each }), undefined, NOW);
    expect(fraction).toBe(0.25);
    expect(remaining).toBe(15_000);
  });

  it('takes subtasks to run side by side', () => {
    const group = node('#.g', { children: [node('#.g.a'), node('#.g.b')] });
    const here = tasks([group], { '#.g': state('running'), '#.g.a': state('ok') });
    expect(estimate(here, { '#.g.a': 1_000, '#.g.b': 3_000 }, NOW)).toMatchObject({ fraction: 0.25, remaining: 3_000 });
  });

  it('takes a group to last as long as it did, however its subtasks ran', () => {
    const group = node('#.g', { children: [node('#.g.a'), node('#.g.b')] });
    const statuses = {
      '#.g': state('running', { expectedDuration: 4_000 }),
      '#.g.a': state('running', { executionTime: NOW - 500, expectedDuration: 1_000 }),
      '#.g.b': state('inactive', { expectedDuration: 3_000 }),
    };
    expect(estimate(tasks([group], statuses), undefined, NOW).remaining).toBe(3_500);
    // It cannot be over before each of its subtasks is.
    const later = { ...statuses, '#.g.a': state('ok', { executionTime: NOW - 3_500, duration: 3_500 }) };
    expect(estimate(tasks([group], later), undefined, NOW).remaining).toBe(3_000);
  });

  it('says what remains of a task by its time', () => {
    const at = (elapsed: number, more: Partial<TaskState> = {}) =>
      estimate(tasks([node('#.a')], { '#.a': state('running', { executionTime: NOW - elapsed, expectedDuration: 10_000, ...more }) }), undefined, NOW);
    expect(at(0)).toMatchObject({ fraction: 0, remaining: 10_000, isLate: false });
    expect(at(4_000)).toMatchObject({ remaining: 6_000, isLate: false });
    expect(at(12_000)).toMatchObject({ remaining: 0, isLate: false });
    expect(at(12_000).fraction).toBeLessThan(1);
    // Seen once, it may well take half as long again; what was seen often tells how far it goes.
    expect(at(15_001).isLate).toBe(true);
    expect(at(12_000, { expectedSpread: 900 }).isLate).toBe(true);
    expect(at(12_000, { expectedSpread: 1_100 }).isLate).toBe(false);
  });

  it('does not call late what is over by a moment', () => {
    const at = (elapsed: number) => estimate(tasks([node('#.a')], { '#.a': state('running', { executionTime: NOW - elapsed, expectedDuration: 10, expectedSpread: 0 }) }), undefined, NOW);
    expect(at(1_000).isLate).toBe(false);
    expect(at(1_011).isLate).toBe(true);
  });

  it('believes a late task what it says of itself', () => {
    const running = state('running', { executionTime: NOW - 20_000, progress: { fraction: 0.5 }, expectedDuration: 1_000 });
    expect(estimate(tasks([node('#.a')], { '#.a': running }), undefined, NOW)).toEqual({ fraction: 0.5, remaining: 20_000, isLate: true });
  });

  it('says nothing when less than half of what is to be done is known', () => {
    const known = { '#.a': state('ok', { expectedDuration: 1_000 }), '#.b': state('running', { executionTime: NOW, expectedDuration: 1_000 }) };
    expect(estimate(tasks([node('#.a'), node('#.b'), node('#.c')], known), undefined, NOW).remaining).toBe(2_000);
    expect(estimate(tasks([node('#.a'), node('#.b'), node('#.c'), node('#.d')], known), undefined, NOW).remaining).toBeNull();
  });

  it('expects nothing more of what has failed', () => {
    const statuses = { '#.a': state('failed', { expectedDuration: 1_000 }), '#.b': state('inactive', { expectedDuration: 500 }) };
    expect(estimate(tasks([node('#.a'), node('#.b')], statuses), undefined, NOW)).toMatchObject({ fraction: 0, remaining: 500 });
  });

  it('goes from the past of a foreach to its own pace', () => {
    const each = (ok: number, elapsed: number) => {
      const rollup = { total: 10, inactive: 10 - ok, queued: 0, running: 0, ok, failed: 0, skipped: 0, cancelled: 0, stale: 0 };
      const at = state('running', { executionTime: NOW - elapsed, expectedDuration: 10_000, rollup });
      return estimate(tasks([node('#.each', { foreach: true })], { '#.each': at }), undefined, NOW).remaining;
    };
    expect(each(0, 2_000)).toBe(8_000);
    expect(each(5, 5_000)).toBe(5_000);
    // Twice as slow as it used to be: nearly over, that is all that counts.
    expect(each(9, 18_000)).toBeCloseTo(1_800);
  });

  it('is always from 0 to 1', () => {
    const status = fc.constantFrom<TaskStatus>('inactive', 'queued', 'running', 'ok', 'failed', 'skipped', 'cancelled');
    const names = ['a', 'b', 'c'];
    const nodes = [node('#.a'), node('#.b', { children: [node('#.b.x'), node('#.b.y')] }), node('#.c', { foreach: true, count: 2 })];
    const paths = [...names.map((name) => `#.${name}`), '#.b.x', '#.b.y', '#.c[0]', '#.c[1]'];
    const one = fc.record({ status, progress: fc.option(fc.double({ min: 0, max: 1, noNaN: true })), started: fc.option(fc.nat({ max: 10_000 })) });
    fc.assert(
      fc.property(fc.array(one, { minLength: 7, maxLength: 7 }), fc.dictionary(fc.constantFrom(...paths), fc.nat({ max: 5_000 })), (states, estimations) => {
        const statuses = Object.fromEntries(
          paths.map((path, index) => {
            const { status: is, progress, started } = states[index]!;
            return [path, state(is, { ...(progress !== null && { progress: { fraction: progress } }), executionTime: started === null ? null : NOW - started })];
          }),
        );
        const { fraction, remaining } = estimate(tasks(nodes, statuses), estimations, NOW);
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThanOrEqual(1);
        if (remaining !== null) expect(remaining).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('what is read from many states', () => {
  const nodes = [node('#.g', { children: [node('#.g.a'), node('#.g.b')] }), node('#.each', { foreach: true, count: 3 })];
  const here = tasks(nodes, {
    '#.g': state('running'),
    '#.g.a': state('ok', { executionTime: 100, duration: 50 }),
    '#.g.b': state('running', { executionTime: 90 }),
    '#.each[0]': state('ok', { executionTime: 10, duration: 5, stale: true }),
    '#.each[2]': state('failed', { executionTime: 20, duration: 30 }),
  });

  it('counts what is right below', () => {
    expect(rollupOf(here, '#.each')).toMatchObject({ total: 3, ok: 1, failed: 1, inactive: 1, stale: 1 });
    expect(rollupOf(here, '#.g')).toMatchObject({ total: 2, ok: 1, running: 1 });
    expect(rollupOf(here, '#.g.a')).toBeNull();
    expect(itemsWith(here, '#.each', 'failed')).toEqual([2]);
  });

  it('spans from the first start to the last end', () => {
    expect(spanOf(here, '#.each')).toEqual({ start: 10, end: 50 });
    expect(spanOf(here, '#.g')).toEqual({ start: 90, end: null });
  });
});
