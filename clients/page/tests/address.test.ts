import { expect, test } from 'vitest';
import { instanceAddress, listAddress, placeOf, workflowAddress } from '../src/app/address.js';
import { queuesOf } from '../src/executors/queues.js';
import { ago } from '../src/instances/ago.js';

const at = (address: string) => placeOf(new URL(address, 'http://gateway'));

test('an instance and a task in it have an address that leads back to them', () => {
  for (const [id, path] of [['abc', null], ['a/b c', '#.import.resize[17]'], ['x', '#.a{b}/c%"<d e>']] as const) {
    for (const view of ['tree', 'timeline'] as const) expect(at(instanceAddress(id, path, view))).toEqual({ page: 'instance', id, path, view });
  }
  expect(instanceAddress('abc', '#.import.resize[17]')).toBe('/i/abc#.import.resize[17]');
});

test('the filter of the list stands in its address', () => {
  const filter = { status: 'failed', workflow: 'a b', name: 'x&y', realm: '' } as const;
  expect(at(listAddress(filter))).toEqual({ page: 'instances', filter });
  expect(listAddress()).toBe('/');
  expect(at('/?status=nonsense')).toMatchObject({ filter: { status: null } });
});

test('other pages, and none', () => {
  expect(at('/workflows')).toEqual({ page: 'workflows', name: null });
  expect(at(workflowAddress('a/b'))).toEqual({ page: 'workflows', name: 'a/b' });
  expect(at('/executors')).toEqual({ page: 'executors' });
  for (const address of ['/i/', '/i', '/executors/x', '/i/a/b', '/other']) expect(at(address)).toEqual({ page: 'nowhere' });
});

test('queues are what their executors amount to', () => {
  const executor = (id: string, status: string, queues: string[], running: number) => ({ id, status, queues, workflows: [id], running, concurrency: 10, startedAt: 0, lastHeartbeat: 0 });
  const workflow = (name: string, queue: string) => ({ name, queue, description: '', schema: null, executors: [] });
  const queues = queuesOf([executor('b', 'serving', ['x', 'y'], 3), executor('a', 'leaving', ['x'], 1), executor('c', 'away', ['z'], 5)], [workflow('two', 'x'), workflow('one', 'x'), workflow('three', 'z')]);
  expect(queues.map(({ name, serving, leaving, away, running, concurrency }) => [name, serving, leaving, away, running, concurrency])).toEqual([
    ['x', 1, 1, 0, 4, 10],
    ['y', 1, 0, 0, 3, 10],
    ['z', 0, 0, 1, 0, 0],
  ]);
  // All of an executor's workflows are not those of each of its queues.
  expect(queues.map(({ workflows }) => workflows)).toEqual([['one', 'two'], [], ['three']]);
});

test('how long ago is told roughly', () => {
  expect([0, 12_000, 90_000, 7_200_000, 200_000_000].map((ms) => ago(1_000_000_000_000 - ms, 1_000_000_000_000))).toEqual(['just now', '10 s ago', '1 min ago', '2 h ago', '2 d ago']);
});
