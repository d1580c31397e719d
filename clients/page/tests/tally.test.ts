import { type TaskNode, type TaskState, paths, unknownInstance } from '@taskpath/react/core';
import { expect, test } from 'vitest';
import { Tally } from '../src/instance/tally.js';

const state = (status: TaskState['status'], more: Partial<TaskState> = {}): TaskState => ({ status, stale: false, executionTime: null, duration: null, attempt: 1, ...more });
const node = (path: string, children: TaskNode[] = [], more: Partial<TaskNode> = {}): TaskNode => ({ name: path.slice(path.lastIndexOf('.') + 1), description: '', path, children, ...more });
const both = node('#.both', [node('#.both.one'), node('#.both.two')]);
const treeOf = (...tasks: TaskNode[]) => unknownInstance('i').tree.with(tasks, false);
const tree = treeOf(node('#.a'), both, node('#.each', [], { foreach: true }));
const isGroup = (path: string) => tree.isGroup(path);

/** A store that says what it is told to. */
function fake(first: Record<string, TaskState> = {}) {
  let statuses = new Map(Object.entries(first));
  const calls: ((change: never) => void)[] = [];
  return {
    getState: () => ({ statuses }),
    changes: { add: (call: (change: never) => void) => (calls.push(call), () => {}) },
    say(next: Record<string, TaskState | null>, described = false, complete = true) {
      const tasks = Object.entries(next).map(([path, now]) => ({ path, before: statuses.get(path) ?? null, now }));
      statuses = new Map(statuses);
      for (const { path, now } of tasks) now ? statuses.set(path, now) : statuses.delete(path);
      calls.forEach((call) => call({ tasks, described, fresh: false, complete } as never));
    },
  };
}

function followed(first: Record<string, TaskState> = {}) {
  const store = fake(first);
  let described = tree;
  const tally = new Tally(() => described);
  tally.follow(store);
  return { store, tally, describe: (as: typeof tree) => (described = as) };
}

test('items are counted in their foreach, and groups not among the tasks of the whole', () => {
  const { tally } = followed({ '#.each': state('running'), '#.each[0]': state('ok'), '#.each[1]': state('failed', { stale: true }) });
  expect(tally.group('#.each').below).toMatchObject({ ok: 1, failed: 1, running: 0, stale: 1 });
  expect(tally.group('#').deep).toMatchObject({ ok: 1, failed: 1, running: 0 });
  expect(tally.group('#').below).toMatchObject({ running: 1 });
});

test('a change moves a task from one count to another, and tells those above alone', () => {
  const { store, tally } = followed({ '#.both.one': state('running'), '#.each[0]': state('queued') });
  const told: string[] = [];
  for (const path of ['#', '#.both', '#.each']) tally.subscribe(path, () => told.push(path));
  const before = tally.group('#.each');
  store.say({ '#.both.one': state('ok') });
  expect(told.sort()).toEqual(['#', '#.both']);
  expect(tally.group('#.both').below).toMatchObject({ running: 0, ok: 1 });
  expect(tally.group('#.each')).toBe(before);
});

test('a rollup counts, and items that are sent as well do not count twice', () => {
  const rollup = { total: 1500, inactive: 0, queued: 0, running: 0, ok: 1490, failed: 10, skipped: 0, cancelled: 0, stale: 0 };
  const { store, tally } = followed({ '#.each[3]': state('failed'), '#.each': state('failed', { rollup }) });
  expect(tally.group('#').deep).toMatchObject({ ok: 1490, failed: 10 });
  store.say({ '#.each[4]': state('failed') });
  expect(tally.group('#.each').below).toMatchObject({ ok: 1490, failed: 10 });
  store.say({ '#.each': state('failed') });
  expect(tally.group('#').deep).toMatchObject({ ok: 0, failed: 2 });
});

test('the span of a group is that of everything in it, also when its edge moves inwards', () => {
  const { store, tally } = followed({
    '#.both': state('running', { executionTime: 100, duration: 5 }),
    '#.both.one': state('ok', { executionTime: 110, duration: 50 }),
    '#.both.two': state('running', { executionTime: 120 }),
  });
  expect(tally.group('#').span).toEqual({ start: 100, end: 160 });
  store.say({ '#.both.one': state('running', { executionTime: 200 }) });
  expect(tally.group('#.both').span).toEqual({ start: 100, end: 105 });
  expect(tally.group('#').span).toEqual({ start: 100, end: 105 });
  store.say({ '#.both': state('running') });
  expect(tally.group('#').span).toEqual({ start: 120, end: null });
});

test('what has become a group is counted anew, and no count is lost when only descriptions change', () => {
  const { store, tally, describe } = followed({ '#.a': state('ok'), '#.each': state('running'), '#.each[0]': state('ok') });
  let told = 0;
  tally.subscribe('#.each', () => (told += 1));
  describe(treeOf(node('#.a', [], { description: 'another' }), both, node('#.each', [], { foreach: true, count: 1 })));
  store.say({ '#.a': state('failed') }, true);
  expect(told).toBe(0);
  expect(tally.group('#').deep).toMatchObject({ ok: 1, failed: 1 });
  describe(treeOf(node('#.a', [node('#.a.x')]), both, node('#.each', [], { foreach: true, count: 1 })));
  store.say({ '#.a.x': state('ok') }, true);
  expect(told).toBe(1);
  expect(tally.group('#').deep).toMatchObject({ ok: 2, failed: 0 });
  expect(tally.group('#.a').below).toMatchObject({ ok: 1 });
});

test('of a revision that comes in parts the groups are told once, when all of it is there', () => {
  const { store, tally } = followed({ '#.each': state('running'), '#.each[2]': state('ok') });
  let [groups, shapes] = [0, 0];
  tally.subscribe('#.each', () => (groups += 1));
  tally.subscribeShape(() => (shapes += 1));
  const before = tally.group('#.each');
  store.say({ '#.each[0]': state('ok') }, false, false);
  store.say({ '#.each[1]': state('ok') }, false, false);
  expect([groups, shapes]).toEqual([0, 0]);
  expect(tally.group('#.each')).toBe(before);
  store.say({}, false, true);
  expect([groups, shapes]).toEqual([1, 1]);
  expect(tally.group('#.each').below).toMatchObject({ ok: 3 });
});

test('items of a status are told in their order, with those that have such tasks below them', () => {
  const { store, tally } = followed({ '#.each[12]': state('failed'), '#.each[3]': state('failed'), '#.each[5].x': state('failed') });
  expect(tally.itemsWith('#.each', 'failed')).toEqual([3, 5, 12]);
  store.say({ '#.each[3]': null, '#.each[12]': state('ok') });
  expect(tally.itemsWith('#.each', 'failed')).toEqual([5]);
  expect(tally.has('#.each[5]', 'failed')).toBe(true);
  expect(tally.has('#.each[3]', 'failed')).toBe(false);
});

test('whatever changes come, it knows what a count of everything would', () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const statuses = ['inactive', 'queued', 'running', 'ok', 'failed'] as const;
  const names = ['#.a', '#.both', '#.both.one', '#.both.two', ...Array.from({ length: 20 }, (_, at) => `#.each[${at}]`)];
  const { store, tally } = followed();
  for (let round = 0; round < 300; round += 1) {
    const next: Record<string, TaskState | null> = {};
    for (let some = 0; some < 3; some += 1) {
      const start = random(3) === 0 ? null : random(1_000);
      const name = names[random(names.length)] as string;
      next[name] = random(9) === 0 ? null : state(statuses[random(5)] as 'ok', { executionTime: start, duration: random(2) ? random(50) : null, stale: random(2) === 0 });
    }
    store.say(next);
    const all = [...store.getState().statuses];
    const leaves = all.filter(([path]) => !isGroup(path));
    const deep = tally.group('#').deep;
    for (const status of statuses) expect(deep[status]).toBe(leaves.filter(([, one]) => one.status === status).length);
    expect(deep.stale).toBe(leaves.filter(([, one]) => one.stale).length);
    for (const group of ['#', '#.both', '#.each']) {
      const its = all.filter(([path, { executionTime }]) => paths.isUnder(path, group) && executionTime !== null).map(([, one]) => one);
      const ends = its.flatMap(({ executionTime, duration }) => (duration === null ? [] : [(executionTime ?? 0) + duration]));
      expect(tally.group(group).span).toEqual({
        start: its.length ? Math.min(...its.map(({ executionTime }) => executionTime ?? 0)) : null,
        end: ends.length ? Math.max(...ends) : null,
      });
    }
  }
});
