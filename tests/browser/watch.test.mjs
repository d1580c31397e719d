import assert from 'node:assert/strict';
import test from 'node:test';
import { InstanceWatch, connect, settled } from './page.mjs';

function watching(options) {
  const world = connect();
  const revisions = [];
  const logs = [];
  const told = { refused: [], failures: [], deleted: 0 };
  world.connection.start();
  world.socket().hello();
  const watch = new InstanceWatch(
    world.connection,
    'i',
    {
      revision: (packets, fresh) => revisions.push({ revision: packets.at(-1).revision, types: packets.map(({ type }) => type), fresh }),
      logs: (packet) => logs.push(packet),
      failure: (packet) => told.failures.push(packet),
      deleted: () => (told.deleted += 1),
      refused: (error) => told.refused.push(error),
    },
    options,
  );
  const state = (type, revision, baseRevision, more = false) =>
    world.socket().say({ type, id: 'i', revision, baseRevision, ...(more && { more }) });
  const snapshot = (revision) => {
    state('workflowDescription', revision, 0, true);
    state('setTasksStatuses', revision, 0, true);
    state('setWorkflowStatus', revision, 0);
  };
  const asked = () => world.socket().sent.filter(({ type }) => type === 'watchWorkflowInstance');
  return { ...world, watch, revisions, logs, told, state, snapshot, asked };
}

test('packets of one revision are handed on together, and only the last moves the cursor', () => {
  const { watch, socket, state, revisions } = watching();
  socket().ack();
  state('workflowDescription', 5, 0, true);
  state('setTasksStatuses', 5, 0, true);
  assert.deepEqual([revisions.length, watch.cursor], [0, 0]);
  state('setWorkflowStatus', 5, 0);
  assert.deepEqual(revisions, [
    { revision: 5, types: ['workflowDescription', 'setTasksStatuses', 'setWorkflowStatus'], fresh: true },
  ]);
  state('setTasksStatuses', 6, 5);
  assert.deepEqual(revisions[1], { revision: 6, types: ['setTasksStatuses'], fresh: false });
  assert.equal(watch.cursor, 6);
});

test('a connection that comes back is resumed from the last complete revision', () => {
  const { clock, socket, state, snapshot, asked, revisions } = watching();
  socket().ack();
  snapshot(5);
  state('setTasksStatuses', 6, 5, true);
  socket().breaks();
  clock.move(500);
  socket().hello();
  assert.equal(asked()[0].since, 5);
  socket().ack();
  state('workflowDescription', 9, 5, true);
  state('setTasksStatuses', 9, 5);
  assert.deepEqual(revisions.at(-1), { revision: 9, types: ['workflowDescription', 'setTasksStatuses'], fresh: false });
});

test('what was cut before the first state was complete starts from nothing', () => {
  const { clock, socket, state, asked } = watching();
  socket().ack();
  state('workflowDescription', 5, 0, true);
  socket().breaks();
  clock.move(500);
  socket().hello();
  assert.equal(asked()[0].since, undefined);
});

test('a packet whose base is not known yet is a gap, which is asked for once', () => {
  const { socket, state, snapshot, asked, revisions, watch } = watching();
  socket().ack();
  snapshot(5);
  state('setTasksStatuses', 8, 7);
  state('setTasksStatuses', 9, 8);
  assert.equal(revisions.length, 1);
  assert.deepEqual(asked().map(({ since }) => since), [undefined, 5]);
  socket().ack();
  state('setTasksStatuses', 9, 5);
  assert.equal(watch.cursor, 9);
});

test('a base older than the cursor is no gap', () => {
  const { socket, state, snapshot, asked, watch } = watching();
  socket().ack();
  snapshot(5);
  state('setTasksStatuses', 7, 4);
  assert.deepEqual([watch.cursor, asked().length], [7, 1]);
});

test('a heartbeat that knows a later revision is a gap; one that does not is none', () => {
  const { socket, state, snapshot, asked } = watching();
  socket().ack();
  snapshot(5);
  socket().say({ type: 'heartbeat', revisions: { i: 5, other: 99 } });
  state('setTasksStatuses', 6, 5, true);
  socket().say({ type: 'heartbeat', revisions: { i: 6 } });
  assert.equal(asked().length, 1);
  state('setWorkflowStatus', 6, 5);
  socket().say({ type: 'heartbeat', revisions: { i: 8 } });
  assert.equal(asked()[1].since, 6);
});

test('after a resync the fresh state replaces what was known, even at an older revision', () => {
  const { socket, snapshot, revisions, watch } = watching();
  socket().ack();
  snapshot(50);
  socket().say({ type: 'resync', id: 'i', reason: 'too old' });
  snapshot(3);
  assert.deepEqual([revisions.at(-1).revision, revisions.at(-1).fresh, watch.cursor], [3, true, 3]);
});

test('other paths are asked for without a cursor, and until then the old ones go on', () => {
  const { clock, socket, state, snapshot, asked, watch, revisions } = watching();
  socket().ack();
  snapshot(5);
  watch.setPaths(['#.**', '#.a[*]']);
  watch.setPaths(['#.**', '#.a[*]']);
  assert.equal(asked().length, 2);
  assert.deepEqual([asked()[1].since, asked()[1].paths], [undefined, ['#.**', '#.a[*]']]);
  state('setTasksStatuses', 6, 5);
  assert.deepEqual([revisions.at(-1).revision, revisions.at(-1).fresh], [6, false]);
  socket().breaks();
  clock.move(500);
  socket().hello();
  assert.deepEqual([asked()[0].since, asked()[0].paths], [undefined, ['#.**', '#.a[*]']]);
  socket().ack();
  snapshot(6);
  assert.equal(revisions.at(-1).fresh, true);
  socket().breaks();
  clock.move(6000);
  socket().hello();
  assert.equal(asked()[0].since, 6);
});

test('logs are followed from where they were read, and resumed from where they came', () => {
  const { clock, socket, snapshot, asked, watch, logs } = watching();
  socket().ack();
  snapshot(5);
  watch.setLogs({ '#.a': 12 });
  const last = asked().at(-1);
  assert.deepEqual([last.since, last.logs, last.logsSince], [5, ['#.a'], { '#.a': 12 }]);
  socket().ack();
  socket().say({ type: 'taskLogs', id: 'i', taskPath: '#.a', lines: [{ text: 'x' }], next: 13 });
  assert.equal(logs.length, 1);
  socket().breaks();
  clock.move(500);
  socket().hello();
  assert.deepEqual(asked().at(-1).logsSince, { '#.a': 13 });
});

test('what is said of other instances is not heard', () => {
  const { socket, snapshot, told, watch } = watching();
  socket().ack();
  snapshot(5);
  socket().say({ type: 'setTasksStatuses', id: 'other', revision: 6, baseRevision: 5 });
  socket().say({ type: 'instanceDeleted', id: 'other' });
  assert.deepEqual([watch.cursor, told.deleted], [5, 0]);
  socket().say({ type: 'instanceDeleted', id: 'i' });
  socket().say({ type: 'executionError', id: 'i', taskPath: '#.a', error: {} });
  assert.deepEqual([told.deleted, told.failures.length], [1, 1]);
});

test('an instance that may not be watched says why, a lost connection does not', async () => {
  const { socket, told, clock } = watching();
  socket().breaks();
  await settled();
  assert.equal(told.refused.length, 0);
  clock.move(500);
  socket().hello();
  socket().refuse({ code: 'UNKNOWN_INSTANCE', message: 'There is no such instance.' });
  await settled();
  assert.equal(told.refused[0].code, 'UNKNOWN_INSTANCE');
});

test('a watch that is closed says so and hears no more', () => {
  const { socket, snapshot, watch, revisions } = watching();
  socket().ack();
  snapshot(5);
  watch.close();
  assert.equal(socket().sent.at(-1).type, 'unwatchWorkflowInstance');
  socket().say({ type: 'setTasksStatuses', id: 'i', revision: 6, baseRevision: 5 });
  assert.equal(revisions.length, 1);
});
