import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StatePacket } from '../../src/core/cursor.js';
import { InstanceStore } from '../../src/core/store.js';
import type { TaskNode } from '../../src/core/packets.js';
import { NO_PROGRESS, type TaskState } from '../../src/core/state.js';
import { itemIndex, parent } from '../../src/core/paths.js';
import { ManualClock } from '../support/clock.js';
import { node, state } from '../support/gateway.js';

function made() {
  const clock = new ManualClock();
  const store = new InstanceStore('i', clock);
  let revision = 0;
  const take = (
    change: { tasks?: TaskNode[]; statuses?: Record<string, TaskState>; removed?: string[]; status?: 'working' | 'done' },
    fresh = false,
  ) => {
    revision += 1;
    const base = { id: 'i', revision, baseRevision: revision - 1 };
    const packets: StatePacket[] = [];
    if (change.tasks) packets.push({ type: 'workflowDescription', ...base, tasks: change.tasks });
    const { statuses = {}, removed = [] } = change;
    packets.push({ type: 'setTasksStatuses', ...base, statuses, removed });
    if (change.status) packets.push({ type: 'setWorkflowStatus', ...base, status: change.status, progress: NO_PROGRESS });
    store.take({ packets, fresh });
  };
  return { clock, store, take };
}

function counted(listen: (call: () => void) => () => void): { calls: number } {
  const counter = { calls: 0 };
  listen(() => (counter.calls += 1));
  return counter;
}

const MANY = Array.from({ length: 10_000 }, (_, index) => `#.each[${index}]`);
const fan = () => Object.fromEntries(MANY.map((path) => [path, state('queued')]));

describe('the store of an instance', () => {
  it('tells only those who show what has changed, of 10,000', () => {
    const { clock, store, take } = made();
    take({ tasks: [node('#.each', { foreach: true })], statuses: fan() }, true);
    clock.frame();
    const each = MANY.map((path) => counted((call) => store.subscribeTask(path, call)));
    const tasks = MANY.map((path) => store.getTask(path));
    const whole = counted(store.subscribe);
    take({ statuses: { '#.each[4711]': state('running') } });
    clock.frame();
    expect(each.map(({ calls }, index) => (calls ? index : -1)).filter((index) => index >= 0)).toEqual([4711]);
    expect(whole.calls).toBeGreaterThan(0);
    expect(MANY.filter((path, index) => store.getTask(path) !== tasks[index])).toEqual(['#.each[4711]']);
  });

  it('makes everything of a frame visible together, and nothing before', () => {
    const { clock, store, take } = made();
    take({ tasks: [node('#.a'), node('#.b')], statuses: { '#.a': state('running') } }, true);
    clock.frame();
    const heard = counted((call) => store.subscribeTask('#.a', call));
    const before = store.getState();
    for (let part = 1; part <= 9; part += 1) take({ statuses: { '#.a': state('running', { progress: { fraction: part / 10 } }) } });
    take({ statuses: { '#.b': state('queued') } });
    expect(store.getState()).toBe(before);
    expect(heard.calls).toBe(0);
    clock.frame();
    expect(heard.calls).toBe(1);
    expect(store.getTask('#.a').progress).toEqual({ fraction: 0.9 });
    expect(before.task('#.b').status).toBe('inactive');
  });

  it('does not wait for frames without end', () => {
    const { store, take } = made();
    take({ tasks: [node('#.a')] }, true);
    for (let part = 0; part < 1_001; part += 1) take({ statuses: { '#.a': state('running', { attempt: part }) } });
    expect(store.getTask('#.a').attempt).toBeGreaterThan(900);
  });

  it('keeps what was only said again', () => {
    const { clock, store, take } = made();
    const tasks = [node('#.a', { children: [node('#.a.b')] })];
    const statuses = () => ({ '#.a': state('failed', { error: { code: 'EXECUTION_FAILED' as const, message: 'x' } }), '#.a.b': state('ok') });
    take({ tasks, statuses: statuses(), status: 'working' }, true);
    clock.frame();
    const a = store.getTask('#.a');
    const snapshot = store.getSnapshot();
    const heard = [counted((call) => store.subscribeTask('#.a', call)), counted((call) => store.subscribeTask('#.a.b', call))];
    take({ tasks: structuredClone(tasks), statuses: statuses(), status: 'working' }, true);
    clock.frame();
    expect(heard.map(({ calls }) => calls)).toEqual([0, 0]);
    expect(store.getTask('#.a')).toBe(a);
    expect(store.getSnapshot().tree).toBe(snapshot.tree);
    expect(store.getSnapshot().failure).toEqual(snapshot.failure);
  });

  it('takes a task that is again as the last frame showed it for unchanged', () => {
    const { clock, store, take } = made();
    take({ tasks: [node('#.a')], statuses: { '#.a': state('ok') } }, true);
    clock.frame();
    const was = store.getState().task('#.a');
    const changed: string[] = [];
    store.changes.add(({ tasks }) => changed.push(...tasks.map(({ path }) => path)));
    take({ statuses: { '#.a': state('running') } });
    take({ statuses: { '#.a': state('ok') } });
    clock.frame();
    expect(changed).toEqual([]);
    expect(store.getState().task('#.a')).toBe(was);
  });

  it('names the first item that failed, also when one before it fails later', () => {
    const { clock, store, take } = made();
    const first = () => store.getSnapshot().failure?.path;
    take({ tasks: [node('#.each', { foreach: true })], statuses: { '#.each': state('failed'), ...fan(), '#.each[700]': state('failed') } }, true);
    clock.frame();
    expect(first()).toBe('#.each[700]');
    take({ statuses: { '#.each[20]': state('failed') } });
    clock.frame();
    expect(first()).toBe('#.each[20]');
    take({ statuses: { '#.each[20]': state('ok') } });
    clock.frame();
    expect(first()).toBe('#.each[700]');
    take({ statuses: { '#.each[700]': state('ok') } });
    clock.frame();
    expect(first()).toBe('#.each');
  });

  it('takes away what was removed, with all below it', () => {
    const { clock, store, take } = made();
    const statuses = { '#.each': state('failed'), '#.each[0]': state('ok'), '#.each[1]': state('failed'), '#.each[1].x': state('failed') };
    take({ tasks: [node('#.each', { foreach: true })], statuses }, true);
    clock.frame();
    expect(store.getTask('#.each').count).toBe(2);
    expect(store.getSnapshot()).toMatchObject({ failedTasks: 3, failure: { path: '#.each[1]' } });
    const gone = counted((call) => store.subscribeTask('#.each[1].x', call));
    take({ removed: ['#.each[1]'] });
    clock.frame();
    expect([...store.getState().statuses.keys()]).toEqual(['#.each', '#.each[0]']);
    expect(gone.calls).toBe(1);
    expect(store.getTask('#.each').count).toBe(1);
    expect(store.getSnapshot()).toMatchObject({ failedTasks: 1, failure: { path: '#.each' } });
  });

  it('tells who shows a group of what happens below it', () => {
    const { clock, store, take } = made();
    take({ tasks: [node('#.a', { children: [node('#.a.b')] }), node('#.ab')] }, true);
    clock.frame();
    const a = counted((call) => store.subscribeBelow('#.a', call));
    take({ statuses: { '#.a.b': state('ok') } });
    take({ statuses: { '#.ab': state('ok') } });
    clock.frame();
    expect(a.calls).toBe(1);
    take({ statuses: { '#.ab': state('failed') } });
    clock.frame();
    expect(a.calls).toBe(1);
  });

  it('puts together a tree that comes in parts', () => {
    const { clock, store, take } = made();
    const base = { id: 'i', revision: 1, baseRevision: 0 };
    take({}, true);
    clock.frame();
    store.take({
      fresh: true,
      packets: [
        { type: 'workflowDescription', ...base, tasks: [node('#.a', { children: [node('#.a.x')] })] },
        { type: 'workflowDescription', ...base, continues: true, tasks: [node('#.a', { children: [node('#.a.y')] }), node('#.b')] },
      ],
    });
    clock.frame();
    const { tree } = store.getSnapshot();
    expect(tree.children('#')).toEqual(['#.a', '#.b']);
    expect(tree.children('#.a')).toEqual(['#.a.x', '#.a.y']);
    store.take({ fresh: false, packets: [{ type: 'workflowDescription', ...base, tasks: [node('#.c')] }] });
    clock.frame();
    expect(store.getSnapshot().tree.children('#')).toEqual(['#.c']);
    expect(tree.children('#')).toEqual(['#.a', '#.b']);
  });

  it('says which tasks have changed, from what to what', () => {
    const { clock, store, take } = made();
    take({ tasks: [node('#.a'), node('#.b')], statuses: { '#.a': state('running') } }, true);
    clock.frame();
    const told: string[] = [];
    store.changes.add(({ tasks, fresh }) => {
      for (const { path, before, now } of tasks) told.push(`${path} ${before?.status} ${now?.status} ${fresh}`);
    });
    take({ statuses: { '#.a': state('queued') } });
    take({ statuses: { '#.a': state('ok'), '#.b': state('running') } });
    clock.frame();
    take({ statuses: { '#.a': state('ok') } }, true);
    clock.frame();
    expect(told).toEqual(['#.a running ok false', '#.b undefined running false', '#.b running undefined true']);
  });

  it('takes in a large state little by little, and shows the instance as a whole when all of it is there', () => {
    const { clock, store, take } = made();
    clock.haste = 1;
    take({ tasks: [node('#.each', { foreach: true })], statuses: fan(), status: 'working' }, true);
    const known: number[] = [];
    store.changes.add(({ tasks, fresh, complete }) => {
      expect(fresh).toBe(true);
      expect(complete).toBe(store.getSnapshot().status === 'working');
      expect(store.revision).toBe(complete ? 1 : 0);
      known.push(tasks.length);
    });
    while (store.getSnapshot().isLoading) clock.frame();
    expect(known.length).toBeGreaterThan(10);
    expect(Math.max(...known)).toBeLessThan(1_000);
    expect(known.reduce((sum, one) => sum + one, 0)).toBe(10_000);
    expect(store.getState().statuses.size).toBe(10_000);
    clock.frame();
    expect(store.getTask('#.each').count).toBe(10_000);
  });

  it('takes in more where frames are rare', async () => {
    const { clock, store, take } = made();
    clock.haste = 1;
    take({ tasks: [node('#.each', { foreach: true })], statuses: fan() }, true);
    await clock.pass(1_000);
    clock.frame();
    expect(store.getState().statuses.size).toBeGreaterThan(5_000);
  });

  it('leaves what it had begun when everything is replaced, and loses nothing when it is hurried', () => {
    const { clock, store, take } = made();
    clock.haste = 1;
    take({ tasks: [node('#.each', { foreach: true })], statuses: fan() }, true);
    clock.frame();
    expect(store.getState().statuses.size).toBeLessThan(10_000);
    take({ tasks: [node('#.each', { foreach: true })], statuses: { '#.each[1]': state('ok') }, status: 'done' }, true);
    take({ statuses: fan() });
    store.flush();
    expect(store.getSnapshot().status).toBe('done');
    expect(store.getState().statuses.size).toBe(10_000);
    take({ statuses: { '#.each[1]': state('ok') } }, true);
    for (let frames = 0; frames < 200; frames += 1) clock.frame();
    expect([...store.getState().statuses.keys()]).toEqual(['#.each[1]']);
    expect(store.getTask('#.each').count).toBe(2);
  });

  it('comes to the same, in however many frames', () => {
    const paths = ['#.a', '#.each', ...Array.from({ length: 200 }, (_, index) => [`#.each[${index}]`, `#.each[${index}].x`]).flat()];
    const tasks = [node('#.a'), node('#.each', { foreach: true, children: [node('#.each[*].x')] })];
    const revision = fc.record({
      statuses: fc.dictionary(fc.constantFrom(...paths), fc.constantFrom('queued' as const, 'ok' as const, 'failed' as const), { maxKeys: 300 }),
      cut: fc.option(fc.nat({ max: 199 }), { freq: 5 }),
      fresh: fc.boolean(),
      frames: fc.nat({ max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(revision, { minLength: 1, maxLength: 12, size: 'max' }), (revisions) => {
        const [slow, fast] = [made(), made()];
        slow.clock.haste = 1;
        const replayed = new Map<string, TaskState>();
        slow.store.changes.add(({ tasks: changed }) => {
          for (const { path, before, now } of changed) {
            expect(replayed.get(path) ?? null).toBe(before);
            if (now) replayed.set(path, now);
            else replayed.delete(path);
          }
        });
        for (const { statuses: said, cut, fresh, frames } of revisions) {
          const statuses = Object.fromEntries(Object.entries(said).map(([path, status]) => [path, state(status)]));
          const removed = cut === null || fresh ? [] : Array.from({ length: 200 - cut }, (_, index) => `#.each[${cut + index}]`);
          for (const path of Object.keys(statuses)) if (removed.some((gone) => path.startsWith(gone))) delete statuses[path];
          for (const { take } of [slow, fast]) take({ tasks, statuses, removed }, fresh);
          for (let frame = 0; frame < frames; frame += 1) slow.clock.frame();
          fast.clock.frame();
        }
        for (let frame = 0; frame < 100; frame += 1) slow.clock.frame();
        const all = fast.store.getState().statuses;
        expect(Object.fromEntries(slow.store.getState().statuses)).toEqual(Object.fromEntries(all));
        expect(Object.fromEntries(replayed)).toEqual(Object.fromEntries(all));
        expect(JSON.stringify(slow.store.getSnapshot())).toBe(JSON.stringify(fast.store.getSnapshot()));
        const items = [...all.keys()].flatMap((path) => (parent(path) === '#.each' ? [itemIndex(path) ?? 0] : []));
        const order = (path: string) => paths.indexOf(path);
        const failed = [...all].flatMap(([path, { status }]) => (status === 'failed' ? [path] : []));
        expect(slow.store.getSnapshot().failedTasks).toBe(failed.length);
        // A failed task is looked for in groups that have failed.
        const within = (above: string) => failed.filter((path) => parent(path) === above).sort((one, other) => order(one) - order(other))[0];
        let first = within('#');
        for (let below = first && within(first); below; below = within(below)) first = below;
        expect(slow.store.getSnapshot().failure?.path).toBe(first);
        if (items.length > 0) expect(slow.store.getTask('#.each').count).toBeGreaterThan(Math.max(...items));
      }),
      { numRuns: 60 },
    );
  });
});
