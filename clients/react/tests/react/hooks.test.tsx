import { act } from 'react';
import { describe, expect, it, vi } from 'vitest';
import {
  type Execute,
  TaskpathProvider,
  useConnection,
  useExecute,
  useInstance,
  useInstanceSnapshot,
  useInstances,
  useTask,
  useTaskLog,
} from '../../src/index.js';
import { world } from '../support/client.js';
import { node, state } from '../support/gateway.js';
import { render, working } from '../support/render.js';

const COUNT = 1_000;

function fan() {
  const here = world();
  here.gateway.chunk = COUNT;
  here.gateway.commit('i', {
    tasks: [node('#.each', { foreach: true, count: COUNT })],
    statuses: Object.fromEntries(Array.from({ length: COUNT }, (_, index) => [`#.each[${index}]`, state('queued')])),
    status: 'working',
  });
  return here;
}

describe('useTask', () => {
  it('renders again only the one task of many that has changed', async () => {
    const drawn = new Map<string, number>();
    function Row({ path }: { path: string }) {
      const { status } = useTask('i', path);
      drawn.set(path, (drawn.get(path) ?? 0) + 1);
      return <li>{status}</li>;
    }
    const rows = Array.from({ length: COUNT }, (_, index) => `#.each[${index}]`);
    const { container, gateway, after } = await render(<>{rows.map((path) => <Row key={path} path={path} />)}</>, fan());
    expect(container.textContent === 'queued'.repeat(COUNT)).toBe(true);
    drawn.clear();
    await after(() => gateway.commit('i', { statuses: { '#.each[470]': state('running') } }));
    expect([...drawn.keys()]).toEqual(['#.each[470]']);
    expect(container.querySelectorAll('li')[470]?.textContent).toBe('running');
    drawn.clear();
    await after(() => gateway.resync('i'));
    expect(drawn.size).toBe(0);
    expect(gateway.socket.sent.filter(({ type }) => type === 'watchWorkflowInstance')).toHaveLength(1);
  });
});

describe('useInstance', () => {
  it('shows everything, useInstanceSnapshot only the whole', async () => {
    let whole = 0;
    function Whole() {
      const { status, progress } = useInstanceSnapshot('i');
      whole += 1;
      return <p>{`${status} ${progress.running}`}</p>;
    }
    function All() {
      const job = useInstance('i');
      return <p>{`${job.revision} ${job.task('#.find').status}`}</p>;
    }
    const { container, gateway, after } = await render([<Whole key="1" />, <All key="2" />], working());
    expect(container.innerHTML).toBe('<p>working 1</p><p>2 running</p>');
    const before = whole;
    await after(() => gateway.commit('i', { statuses: { '#.find': state('ok') } }));
    expect(container.innerHTML).toBe('<p>working 1</p><p>3 ok</p>');
    expect(whole).toBe(before);
  });

  it('asks for what is to be seen, and not again for the same in other words', async () => {
    function Part() {
      return <p>{useInstance('i', { paths: ['#.zip'] }).statuses.size}</p>;
    }
    const { container, gateway, show } = await render(<Part />, working());
    await show(<Part />);
    expect(container.textContent).toBe('1');
    expect(gateway.socket.sent).toMatchObject([{ paths: ['#.zip'] }]);
  });
});

describe('useInstances', () => {
  it('is a live list', async () => {
    const here = world();
    const row = { id: 'a', workflow: 'w', realm: 'default', name: null, status: 'done' as const, progress: { total: 1, done: 1, failed: 0, running: 0, fraction: 1 }, createdAt: 1, updatedAt: 1 };
    here.gateway.rows = [row];
    function List() {
      const { items, isLoading } = useInstances({ status: 'done' });
      return <p>{isLoading ? 'loading' : items.map(({ id }) => id).join()}</p>;
    }
    const { container, gateway, after } = await render(<List />, here);
    expect(container.textContent).toBe('a');
    await after(() => gateway.socket.push({ type: 'instancesChanged', items: [{ ...row, id: 'b', createdAt: 2 }], removed: [] }));
    expect(container.textContent).toBe('b,a');
  });
});

describe('useExecute', () => {
  it('does things, and says how that goes', async () => {
    let calls!: Execute;
    function Do() {
      calls = useExecute();
      return <p>{`${calls.isPending} ${calls.error?.code}`}</p>;
    }
    const { container, gateway, after } = await render(<Do />, working());
    gateway.answer = (packet) => (packet.type === 'executeTask' ? [] : null);
    let running!: Promise<unknown>;
    await after(() => {
      running = calls.execute('i', { path: '#.zip' });
    });
    expect(container.textContent).toBe('true undefined');
    const sent = gateway.socket.sent.at(-1)!;
    await after(() => gateway.socket.push({ type: 'ack', requestId: sent.requestId!, revision: 9 }));
    await expect(running).resolves.toEqual({ revision: 9 });
    expect(container.textContent).toBe('false undefined');
    const error = { code: 'ALREADY_RUNNING' as const, message: 'busy' };
    gateway.answer = (packet) => (packet.type === 'cancel' ? [{ type: 'appError', error, requestId: packet.requestId! }] : null);
    await after(() => expect(calls.cancel(7)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' }));
    expect(container.textContent).toBe('false ALREADY_RUNNING');
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'cancel', id: '7' });
  });
});

describe('useTaskLog', () => {
  it('shows the lines as they come', async () => {
    const here = working();
    here.answers.set('GET /api/v1/instances/i/tasks/#.find/logs', () => ({ body: { lines: [], next: 0 } }));
    function Lines() {
      return <p>{useTaskLog('i', '#.find').lines.map(({ text }) => text).join()}</p>;
    }
    const { container, gateway, after, fetched } = await render(<Lines />, here);
    await fetched();
    const lines = [{ time: 1, level: 'info', text: 'hello', attempt: 1 }];
    await after(() => gateway.socket.push({ type: 'taskLogs', id: 'i', taskPath: '#.find', lines, next: 1 }));
    expect(container.textContent).toBe('hello');
  });
});

describe('the provider', () => {
  it('makes one client, presents another token when it is given one, and asks the latest function', async () => {
    const { gateway, clock } = world();
    function State() {
      useInstance('i');
      return <p>{useConnection().name}</p>;
    }
    const { container, show } = await render(null);
    const given = (token: string) => (
      <TaskpathProvider url="http://other.test" token={token} openSocket={gateway.open} clock={clock}>
        <State />
      </TaskpathProvider>
    );
    await show(given('one'));
    expect(container.textContent).toBe('open');
    await show(given('one'));
    await show(given('two'));
    expect(gateway.opened).toHaveLength(1);
    expect(gateway.socket.protocols[1]).toBe('taskpath.token.one');
    expect(gateway.socket.sent.at(-1)).toMatchObject({ type: 'auth', token: 'two' });
    const [first, second] = [vi.fn(() => 'first'), vi.fn(() => 'second')];
    const asking = (getToken: () => string) => (
      <TaskpathProvider url="http://third.test" getToken={getToken} openSocket={gateway.open} clock={clock}>
        <State />
      </TaskpathProvider>
    );
    await show(asking(first));
    await show(asking(second));
    expect(gateway.socket.protocols[1]).toBe('taskpath.token.first');
    await act(async () => gateway.socket.break(4401));
    await act(() => clock.pass(1_000));
    expect(second).toHaveBeenCalledTimes(1);
    expect(gateway.socket.protocols[1]).toBe('taskpath.token.second');
  });
});
