/** Whatever happens on the way, the client ends where the server is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstanceStatus, TaskStatus } from '../../src/core/packets.js';
import { settle } from '../support/clock.js';
import { world } from '../support/client.js';
import { covers, node, state } from '../support/gateway.js';

const NAMES = ['a', 'b', 'c', 'd'];
const PATHS = [...NAMES.map((name) => `#.${name}`), '#.each', ...[0, 1, 2, 3].map((index) => `#.each[${index}]`)];
const TREES = [NAMES, ['a', 'b'], ['a', 'c', 'each'], ['each']].map((names) =>
  names.map((name) => node(`#.${name}`, name === 'each' ? { foreach: true } : {})),
);
const INTERESTS: (string[] | undefined)[] = [undefined, ['#.a'], ['#.each[*]'], ['#.b', '#.each[2]'], ['#']];

const status = fc.constantFrom<TaskStatus>('inactive', 'queued', 'running', 'ok', 'failed');
const instanceStatus = fc.constantFrom<InstanceStatus>('inactive', 'working', 'done', 'failed');
const commit = fc.record({
  kind: fc.constant('commit' as const),
  statuses: fc.dictionary(fc.constantFrom(...PATHS), status, { maxKeys: 6 }),
  removed: fc.subarray(PATHS.slice(5), { maxLength: 2 }),
  tree: fc.option(fc.nat({ max: TREES.length - 1 }), { freq: 4 }),
  status: fc.option(instanceStatus),
  lost: fc.boolean(),
});
const step = fc.oneof(
  { arbitrary: commit, weight: 6 },
  { arbitrary: fc.record({ kind: fc.constant('deliver' as const), most: fc.integer({ min: 1, max: 6 }) }), weight: 6 },
  { arbitrary: fc.constant({ kind: 'beat' as const }), weight: 1 },
  { arbitrary: fc.constant({ kind: 'break' as const }), weight: 1 },
  { arbitrary: fc.constant({ kind: 'resync' as const }), weight: 1 },
  { arbitrary: fc.constant({ kind: 'frame' as const }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(300, 2_500) }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant('interest' as const), which: fc.nat({ max: INTERESTS.length - 1 }) }), weight: 2 },
  { arbitrary: fc.constant({ kind: 'back' as const }), weight: 1 },
);

describe('any interleaving of packets, breaks and resyncs', () => {
  it('ends in the state of the server', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), async (steps, chunk) => {
        const { client, clock, gateway } = world();
        gateway.chunk = chunk;
        gateway.automatic = false;
        gateway.commit('i', { tasks: TREES[0]!, statuses: { '#.a': state('running') }, status: 'working' });
        const instance = client.instance('i');
        const { store } = instance;
        let interest = INTERESTS[0];
        let release = instance.watch(interest);
        let seen = 0;
        store.subscribe(() => {
          expect(store.revision).toBeGreaterThanOrEqual(0);
          seen += 1;
        });
        const handed: [ReadonlyMap<string, unknown>, string][] = [];
        for (const one of steps) {
          switch (one.kind) {
            case 'commit':
              gateway.commit(
                'i',
                {
                  statuses: Object.fromEntries(Object.entries(one.statuses).map(([path, is]) => [path, state(is)])),
                  removed: one.removed.filter((path) => !(path in one.statuses)),
                  ...(one.tree !== null && { tasks: TREES[one.tree]! }),
                  ...(one.status !== null && { status: one.status }),
                },
                { lost: one.lost },
              );
              break;
            case 'deliver':
              gateway.deliver(one.most);
              break;
            case 'beat':
              gateway.beat();
              break;
            case 'break':
              for (const socket of [...gateway.sockets]) socket.break();
              break;
            case 'resync':
              gateway.resync('i');
              break;
            case 'frame':
              clock.frame();
              break;
            case 'pass':
              await clock.pass(one.ms);
              break;
            case 'interest': {
              interest = INTERESTS[one.which];
              const next = instance.watch(interest);
              release();
              release = next;
              break;
            }
            case 'back': {
              const { statuses } = store.getState();
              handed.push([statuses, JSON.stringify([...statuses])]);
              break;
            }
          }
          await settle();
        }
        // Peace: everything arrives, what was lost shows with the next heartbeat, fewer tasks are asked for in the end.
        for (let round = 0; round < 4; round += 1) {
          await clock.pass(15_000);
          gateway.deliver();
          gateway.beat();
          gateway.deliver();
          await settle();
          clock.frame();
        }
        const server = gateway.instance('i');
        const client_ = store.getState();
        const patterns = interest;
        const shown = Object.entries(server.states()).filter(([path]) => !patterns || patterns.some((p) => covers(p, path)));
        expect(client_.revision).toBe(server.revision);
        expect(client_.status).toBe(server.status);
        expect(Object.fromEntries(client_.statuses)).toEqual(Object.fromEntries(shown));
        expect(client_.tree.tasks).toEqual(server.tasks);
        expect(client_.isLive).toBe(true);
        expect(client_.failedTasks).toBe(shown.filter(([, { status: is }]) => is === 'failed').length);
        // What was handed out has not changed since.
        for (const [statuses, text] of handed) expect(JSON.stringify([...statuses])).toBe(text);
        expect(seen).toBeGreaterThan(0);
      }),
      { numRuns: 400 },
    );
  });
});
