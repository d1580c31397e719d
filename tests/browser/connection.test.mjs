import assert from 'node:assert/strict';
import test from 'node:test';
import { connect, reconnectDelay } from './page.mjs';

test('the delay before the next try doubles, is bounded, and half of it is left to chance', () => {
  assert.deepEqual([0, 1, 2, 3].map((failures) => reconnectDelay(failures, 1)), [500, 1000, 2000, 4000]);
  assert.equal(reconnectDelay(50, 1), 30_000);
  assert.equal(reconnectDelay(1, 0), 500);
});

test('a connection is open when the server has said hello', () => {
  const { connection, socket } = connect();
  connection.start();
  assert.equal(connection.state.name, 'connecting');
  socket().hello();
  assert.ok(connection.isOpen);
});

test('the token goes into a subprotocol beside the one that the server picks, never into the address', () => {
  const { connection, socket } = connect({ token: 'abc' });
  connection.start();
  assert.deepEqual(socket().protocols, ['taskpath', 'taskpath.token.abc']);
  assert.equal(socket().url, 'ws://here/ws');
});

test('a lost connection is tried again later and later, and at once when it had lived', () => {
  const { connection, clock, sockets, socket } = connect();
  connection.start();
  for (const delay of [500, 1000, 2000]) {
    socket().breaks();
    assert.equal(connection.state.name, 'waiting');
    assert.equal(connection.state.retryAt, clock.now() + delay);
    const before = sockets.length;
    clock.move(delay - 1);
    assert.equal(sockets.length, before);
    clock.move(1);
    assert.equal(sockets.length, before + 1);
  }
  socket().hello();
  clock.move(6_000);
  socket().breaks();
  assert.equal(connection.state.retryAt, clock.now() + 500);
});

test('a connection that is closed as soon as it is open still waits longer each time', () => {
  const { connection, clock, socket } = connect();
  connection.start();
  const delays = [];
  for (let round = 0; round < 3; round += 1) {
    socket().hello();
    socket().breaks();
    delays.push(connection.state.retryAt - clock.now());
    clock.move(delays.at(-1));
  }
  assert.deepEqual(delays, [500, 1000, 2000]);
});

test('a silent connection is taken for dead; a heartbeat keeps it', () => {
  const { connection, clock, sockets, socket } = connect();
  connection.start();
  socket().hello();
  for (let beat = 0; beat < 5; beat += 1) {
    clock.move(15_000);
    socket().say({ type: 'heartbeat', revisions: {} });
  }
  assert.ok(connection.isOpen);
  clock.move(35_000);
  assert.equal(connection.state.name, 'waiting');
  assert.ok(sockets[0].closed);
});

test('a server that accepts and never says hello is left', () => {
  const { connection, clock } = connect();
  connection.start();
  clock.move(35_000);
  assert.equal(connection.state.name, 'waiting');
});

test('nobody waits who is asked to try now', () => {
  const { connection, sockets, socket } = connect();
  connection.start();
  socket().breaks();
  connection.retryNow();
  assert.equal(sockets.length, 2);
  assert.equal(connection.state.name, 'connecting');
});

test('a token that is refused is not tried again', () => {
  const { connection, clock, sockets, socket } = connect({ token: 'old' });
  connection.start();
  socket().breaks(4401);
  assert.equal(connection.state.name, 'denied');
  clock.move(600_000);
  assert.equal(sockets.length, 1);
});

test('answers find their requests, and only packets that are no answers are handed on', async () => {
  const { connection, socket } = connect();
  const packets = [];
  connection.packets.add((packet) => packets.push(packet.type));
  connection.start();
  socket().hello();
  const one = connection.request({ type: 'cancel', id: 'i' });
  const [first] = socket().sent;
  const other = connection.request({ type: 'executeTask', id: 'i', taskPath: '#.a' });
  socket().refuse({ code: 'CANNOT_START_TASK', message: '#.b has to be done before.', path: '#.b' });
  socket().say({ type: 'ack', requestId: first.requestId, revision: 7 });
  socket().say({ type: 'appError', error: { code: 'INVALID_REQUEST', message: 'That was no packet.' } });
  assert.equal((await one).revision, 7);
  await assert.rejects(other, { code: 'CANNOT_START_TASK', path: '#.b', message: '#.b has to be done before.' });
  assert.deepEqual(packets, ['appError']);
});

test('a request ends with an error when the connection does, when nobody answers, and when there is none', async () => {
  const { connection, clock, socket } = connect();
  await assert.rejects(connection.request({ type: 'cancel', id: 'i' }), { code: 'UNAVAILABLE' });
  connection.start();
  socket().hello();
  const lost = connection.request({ type: 'cancel', id: 'i' });
  socket().breaks();
  await assert.rejects(lost, { code: 'UNAVAILABLE' });
  clock.move(500);
  socket().hello();
  const unanswered = connection.request({ type: 'cancel', id: 'i' });
  clock.move(30_000);
  await assert.rejects(unanswered, { code: 'UNAVAILABLE' });
});

test('what an old socket still says is not heard', () => {
  const { connection, clock, sockets, socket } = connect();
  connection.start();
  const { onclose } = sockets[0];
  socket().hello();
  clock.move(35_000);
  assert.equal(sockets[0].onmessage, null);
  clock.move(500);
  socket().hello();
  onclose({ code: 1006 });
  assert.ok(connection.isOpen);
});
