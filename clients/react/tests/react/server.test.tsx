// @vitest-environment node
import { renderToString } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { ContinuousProgression, Jobify, Progression, TaskpathProvider, Workflow, useConnection, useInstances, useTask } from '../../src/index.js';

function Hooks() {
  return (
    <p>
      {useInstances().isLoading ? 'loading' : ''} {useTask('i', '#.a').status} {useConnection().name}
    </p>
  );
}

describe('on a server', () => {
  it('everything renders, with no window, no token asked for and nothing opened', () => {
    expect(typeof window).toBe('undefined');
    const opened: string[] = [];
    const options = {
      url: 'https://jobs.test',
      getToken: () => (opened.push('token'), 'token'),
      openSocket: () => {
        throw new Error('a socket was opened');
      },
    };
    const html = renderToString(
      <TaskpathProvider {...options}>
        <Jobify jobId={null} component={() => <b>album</b>} />
        <Jobify jobId="i" component={() => <b>later</b>} />
        <Progression workflowIds={['i']} />
        <ContinuousProgression workflowIds={['i']} />
        <Workflow workflowId="i" title="Album" />
        <Hooks />
      </TaskpathProvider>,
    );
    expect(html).toContain('<b>album</b>');
    expect(html).not.toContain('later');
    expect(html).toContain('aria-busy="true"');
    expect(opened).toEqual([]);
  });
});
