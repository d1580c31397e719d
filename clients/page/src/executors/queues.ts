/** What the executors amount to, by queue. Pure. */
import type { ExecutorView, WorkflowView } from '@taskpath/react/core';

export interface Queue {
  readonly name: string;
  /** Those that take work from it now. */
  readonly serving: number;
  readonly leaving: number;
  readonly away: number;
  /** How many attempts those run that serve it, other queues' included. */
  readonly running: number;
  /** How many coroutines they run at once. */
  readonly concurrency: number;
  /** Whose tasks wait in it, served or not. */
  readonly workflows: readonly string[];
}

/** @param workflows as they were announced; each has one queue */
export function queuesOf(executors: readonly ExecutorView[], workflows: readonly WorkflowView[]): Queue[] {
  const names = new Set(executors.flatMap(({ queues }) => queues));
  return [...names].sort().map((name) => {
    const its = executors.filter(({ queues }) => queues.includes(name));
    const is = (status: string) => its.filter((executor) => executor.status === status);
    const there = its.filter(({ status }) => status !== 'away');
    return {
      name,
      serving: is('serving').length,
      leaving: is('leaving').length,
      away: is('away').length,
      running: there.reduce((sum, { running }) => sum + running, 0),
      concurrency: is('serving').reduce((sum, { concurrency }) => sum + concurrency, 0),
      workflows: workflows.filter(({ queue }) => queue === name).map((workflow) => workflow.name).sort(),
    };
  });
}
