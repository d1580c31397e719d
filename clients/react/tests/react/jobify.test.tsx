import { useEffect, useState } from 'react';
import { describe, expect, it } from 'vitest';
import { Jobify } from '../../src/index.js';
import { render, working } from '../support/render.js';
import { state } from '../support/gateway.js';

const done = { statuses: { '#.find': state('ok'), '#.zip': state('ok') }, status: 'done' as const, progress: { done: 2, running: 0, fraction: 1 } };

describe('Jobify', () => {
  it('is the component where there is no job, and opens nothing for that', async () => {
    for (const jobId of [null, undefined]) {
      const { container, gateway } = await render(<Jobify jobId={jobId} component={() => <b>album</b>} />);
      expect(container.innerHTML).toBe('<b>album</b>');
      expect(gateway.opened).toHaveLength(0);
    }
  });

  it('works with two properties: a bar while the job works, the component when it is done', async () => {
    const { container, gateway, after } = await render(<Jobify jobId="i" component={() => <b>album</b>} />, working());
    const bar = container.querySelector('progress')!;
    expect(container.querySelector('b')).toBeNull();
    expect(bar.value).toBe(0);
    expect(bar.getAttribute('aria-valuetext')).toBe('0 %, 0 of 2 tasks');
    expect(container.textContent).toContain('Find the photos');
    const progress = { fraction: 0.5, message: 'half way' };
    await after(() => gateway.commit('i', { statuses: { '#.find': state('running', { attempt: 1, progress }) } }));
    expect(bar.value).toBe(0.25);
    expect(container.textContent).toContain('half way');
    await after(() => gateway.commit('i', { statuses: { '#.find': state('ok') }, progress: { done: 1, fraction: 0.5 } }));
    expect(bar.getAttribute('aria-valuetext')).toBe('50 %, 1 of 2 tasks');
    await after(() => gateway.commit('i', done));
    expect(container.innerHTML).toBe('<b>album</b>');
  });

  it('takes numbers for ids', async () => {
    const here = working();
    here.gateway.commit('1', { status: 'done' });
    const { container } = await render(<Jobify jobId={1} component={() => 'album'} />, here);
    expect(container.textContent).toBe('album');
  });

  it('does not flash a bar at who looks at a job that is done', async () => {
    const here = working();
    here.gateway.commit('i', done);
    here.gateway.automatic = false;
    const { container, gateway, after } = await render(<Jobify jobId="i" component={() => 'album'} />, here);
    expect(container.querySelector('progress')).toBeNull();
    expect(container.querySelector('[aria-busy=true]')).not.toBeNull();
    await after(() => {
      gateway.automatic = true;
      gateway.deliver();
    });
    expect(container.textContent).toBe('album');
  });

  it('says what went wrong', async () => {
    const { container, gateway, after } = await render(<Jobify jobId="i" component={() => 'album'} />, working());
    const error = { code: 'EXECUTION_FAILED' as const, message: 'out of paper', type: 'ValueError' };
    await after(() => gateway.commit('i', { statuses: { '#.find': state('failed', { error }) }, status: 'failed' }));
    expect(container.querySelector('[role=alert]')?.textContent).toBe('find: ValueError: out of paper');
    expect(container.querySelector('[role=group]')?.getAttribute('data-status')).toBe('failed');
    await after(() => gateway.commit('i', { statuses: { '#.find': state('running') }, status: 'working' }));
    expect(container.querySelector('[role=alert]')).toBeNull();
  });

  it('says that there is no such job', async () => {
    const { container } = await render(<Jobify jobId="none" component={() => 'album'} />);
    expect(container.querySelector('[role=alert]')?.textContent).toBe('There is no instance none.');
  });

  it('says that it is away, and comes back by itself', async () => {
    const { container, gateway, clock, after } = await render(<Jobify jobId="i" component={() => 'album'} />, working());
    await after(() => gateway.socket.break());
    expect(container.textContent).toContain('Reconnecting');
    expect(container.querySelector('[role=status]')?.textContent).toContain('lost');
    gateway.commit('i', done);
    await after(() => clock.pass(500));
    expect(container.textContent).toBe('album');
  });

  it('gives the state to a progression of one’s own, and lets both use hooks', async () => {
    const log: string[] = [];
    function useLogged(name: string) {
      const [first] = useState(name);
      useEffect(() => {
        log.push(`${first} in`);
        return () => void log.push(`${first} out`);
      }, [first]);
      return first;
    }
    const { container, gateway, after } = await render(
      <Jobify
        jobId="i"
        progression={(job) => {
          useLogged('progression');
          return `${job.status} ${job.progress.total} ${job.task('#.find').status} ${job.statuses.size}`;
        }}
        component={() => {
          useLogged('component');
          return 'album';
        }}
      />,
      working(),
    );
    expect(container.textContent).toBe('working 2 running 2');
    await after(() => gateway.commit('i', done));
    expect(container.textContent).toBe('album');
    expect(log.at(-1)).toBe('component in');
    expect(log).toContain('progression out');
  });

  it('follows its id', async () => {
    const here = working();
    here.gateway.commit('j', { status: 'done' });
    const { container, show } = await render(<Jobify jobId="i" component={() => 'album'} />, here);
    expect(container.querySelector('progress')).not.toBeNull();
    await show(<Jobify jobId="j" component={() => 'album'} />);
    expect(container.textContent).toBe('album');
  });

  it('shows an ephemeral job that has ended well as done', async () => {
    const { container, gateway, after } = await render(<Jobify jobId="i" component={() => 'album'} />, working());
    await after(() => gateway.socket.push({ type: 'instanceDeleted', id: 'i', status: 'done' }));
    expect(container.textContent).toBe('album');
  });

  it('leaves nothing open behind itself', async () => {
    const { gateway, clock, client, unmount } = await render(<Jobify jobId="i" component={() => 'album'} />, working());
    await unmount();
    await clock.pass(2_500);
    expect(gateway.socket.watching.size).toBe(0);
    await clock.pass(11_000);
    expect(client.connection.state.name).toBe('idle');
    expect(gateway.opened).toHaveLength(1);
  });
});
