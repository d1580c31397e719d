import { describe, expect, it, vi } from 'vitest';
import { ContinuousProgression, Progression } from '../../src/index.js';
import { node, state } from '../support/gateway.js';
import { render, working } from '../support/render.js';

const both = () => {
  const here = working();
  here.gateway.commit('j', { tasks: [node('#.one')], statuses: { '#.one': state('queued') }, status: 'working' });
  return here;
};

describe('Progression', () => {
  it('has a bar for each job', async () => {
    const { container } = await render(<Progression workflowIds={['i', 'j']} label={(id) => `Album ${id}`} />, both());
    expect([...container.querySelectorAll('progress')].map((bar) => bar.getAttribute('aria-label'))).toEqual(['Album i', 'Album j']);
  });

  it('may be rendered in another way', async () => {
    const { container } = await render(<Progression workflowIds={['i']} render={([job]) => <i>{job!.status}</i>} />, working());
    expect(container.innerHTML).toBe('<i>working</i>');
  });

  it('tells when tasks begin and end, when all is done, and what fails', async () => {
    const told: string[] = [];
    const { gateway, after, show } = await render(<Progression {...listeners(told)} workflowIds={['i', 'j']} />, both());
    expect(told).toEqual([]);
    await after(() => gateway.commit('i', { statuses: { '#.find': state('ok', { attempt: 1 }), '#.zip': state('running', { attempt: 1 }) } }));
    await after(() => {
      gateway.commit('j', { statuses: { '#.one': state('queued', { attempt: 1 }) } });
      gateway.commit('j', { statuses: { '#.one': state('ok', { attempt: 1 }) }, status: 'done' });
    });
    expect(told.splice(0)).toEqual(['end i #.find ok', 'start i #.zip', 'start j #.one', 'end j #.one ok']);
    const error = { code: 'EXECUTION_FAILED' as const, message: 'full' };
    await after(() => gateway.commit('i', { statuses: { '#.zip': state('failed', { attempt: 1, error }) }, status: 'failed' }));
    await after(() => gateway.resync('i'));
    await show(<Progression {...listeners(told)} workflowIds={['i', 'j']} />);
    expect(told.splice(0)).toEqual(['end i #.zip failed', 'error i #.zip full']);
    await after(() => gateway.commit('i', { statuses: { '#.zip': state('running', { attempt: 2 }) }, status: 'working' }));
    await after(() => gateway.commit('i', { statuses: { '#.zip': state('ok', { attempt: 2 }) }, status: 'done' }));
    await after(() => gateway.socket.break());
    expect(told.splice(0)).toEqual(['start i #.zip', 'end i #.zip ok', 'complete done done']);
  });

  it('tells of what was done before anybody looked', async () => {
    const told: string[] = [];
    const here = working();
    here.gateway.commit('i', { status: 'done' });
    await render(<Progression {...listeners(told)} workflowIds={['i', 'none']} />, here);
    expect(told).toEqual(['error none null There is no instance none.']);
    await render(<Progression {...listeners(told)} workflowIds={['i']} />, here);
    expect(told.slice(1)).toEqual(['complete done']);
  });
});

function listeners(told: string[]) {
  return {
    onTaskStart: ({ workflowId, path }: { workflowId: string; path: string }) => told.push(`start ${workflowId} ${path}`),
    onTaskEnd: ({ workflowId, path, task }: { workflowId: string; path: string; task: { status: string } }) =>
      told.push(`end ${workflowId} ${path} ${task.status}`),
    onComplete: (states: readonly { status: string | null }[]) => told.push(`complete ${states.map(({ status }) => status).join(' ')}`),
    onError: ({ workflowId, path, error }: { workflowId: string; path: string | null; error: { message: string } }) =>
      told.push(`error ${workflowId} ${path} ${error.message}`),
  };
}

describe('ContinuousProgression', () => {
  it('moves with time, says what is left, and never goes back', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    try {
      const here = working();
      const start = here.clock.now();
      here.gateway.commit('i', { statuses: { '#.find': state('running', { attempt: 1, executionTime: start }) } });
      const estimations = { '#.find': 60_000, '#.zip': 60_000 };
      const { container, after, gateway, clock } = await render(
        <ContinuousProgression workflowIds={['i']} estimations={estimations} />,
        here,
      );
      const bar = container.querySelector('progress')!;
      const later = (ms: number) =>
        after(async () => {
          await clock.pass(ms);
          gateway.beat();
          vi.advanceTimersByTime(ms);
        });
      await later(10_000);
      const first = bar.value;
      expect(first).toBeCloseTo(0.075, 2);
      expect(container.textContent).toContain('about 2 min left');
      await later(20_000);
      expect(bar.value).toBeCloseTo(0.225, 2);
      await after(() => gateway.commit('i', { statuses: { '#.find': state('running', { attempt: 1, executionTime: start, progress: { fraction: 0.01 } }) } }));
      expect(bar.value).toBeCloseTo(0.225, 2);
      await after(() => gateway.commit('i', { statuses: { '#.find': state('ok'), '#.zip': state('ok') }, status: 'done', progress: { fraction: 1, done: 2 } }));
      expect(bar.value).toBe(1);
      expect(container.textContent).not.toContain('left');
    } finally {
      vi.useRealTimers();
    }
  });

  it('takes the past where it is told nothing, and says when it takes longer', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    try {
      const here = working();
      const start = here.clock.now();
      const past = { expectedDuration: 20_000, expectedSpread: 500 };
      here.gateway.commit('i', { statuses: { '#.find': state('running', { attempt: 1, executionTime: start, ...past }), '#.zip': state('inactive', past) } });
      const { container, after, gateway, clock } = await render(<ContinuousProgression workflowIds={['i']} />, here);
      const bar = container.querySelector('progress')!;
      const later = (ms: number) =>
        after(async () => {
          await clock.pass(ms);
          gateway.beat();
          vi.advanceTimersByTime(ms);
        });
      await later(10_000);
      expect(container.textContent).toContain('about 30 s left');
      const seen = [bar.value];
      for (let turn = 0; turn < 4; turn += 1) {
        await later(10_000);
        seen.push(bar.value);
      }
      expect(container.textContent).toContain('taking longer than usual');
      expect(container.textContent).not.toContain('left');
      expect(seen).toEqual([...seen].sort((one, other) => one - other));
      expect(bar.value).toBeLessThan(0.5);
      await after(() => gateway.commit('i', { statuses: { '#.find': state('ok', past), '#.zip': state('running', { attempt: 1, executionTime: start + 50_000, ...past }) } }));
      expect(container.textContent).toContain('about 20 s left');
    } finally {
      vi.useRealTimers();
    }
  });

  it('says nothing of the time when nothing is known', async () => {
    const here = working();
    here.gateway.commit('i', { statuses: { '#.find': state('running', { attempt: 1, executionTime: here.clock.now() }) } });
    const { container } = await render(<ContinuousProgression workflowIds={['i']} />, here);
    expect(container.textContent).not.toMatch(/left|longer/);
  });

  it('gives its estimate to a rendering of one’s own', async () => {
    const here = working();
    const { container } = await render(
      <ContinuousProgression
        workflowIds={['i']}
        estimations={{ '#.find': 1_000, '#.zip': 3_000 }}
        render={([job]) => <i>{`${job!.fraction} ${job!.remaining}`}</i>}
      />,
      here,
    );
    expect(container.textContent).toBe('0 4000');
  });
});
