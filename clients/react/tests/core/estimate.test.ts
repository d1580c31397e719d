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
    expect(estimate(here, { '#.a': 1_000, '#.b': 9_000 }, NOW)).toEqual({ fraction: 0.1, remaining: 9_000 });
    expect(estimate(here, undefined, NOW)).toEqual({ fraction: 0.5, remaining: null });
  });

  it('takes from history what it is not told', () => {
    const statuses = { '#.a': state('ok', { expectedDuration: 3_000 } as TaskState), '#.b': state('inactive', { expectedDuration: 1_000 } as TaskState) };
    expect(estimate(tasks([node('#.a'), node('#.b')], statuses), undefined, NOW)).toEqual({ fraction: 0.75, remaining: 1_000 });
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
    expect(estimate(tasks([node('#.a')], { '#.a': running }), { '#.a': 1_000 }, NOW)).toEqual({ fraction: 0.25, remaining: 750 });
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
    expect(estimate(here, { '#.g.a': 1_000, '#.g.b': 3_000 }, NOW)).toEqual({ fraction: 0.25, remaining: 2_250 });
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
        if (remaining !== null) expect(remaining).toBeGreaterThanOrEqual(-1e-6);
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
