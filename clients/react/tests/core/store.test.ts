import { describe, expect, it } from 'vitest';
import type { StatePacket } from '../../src/core/cursor.js';
import { InstanceStore } from '../../src/core/store.js';
import type { TaskNode } from '../../src/core/packets.js';
import { NO_PROGRESS, type TaskState } from '../../src/core/state.js';
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
});
