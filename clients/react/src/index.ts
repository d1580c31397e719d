'use client';

/** React components and hooks that show background workflows while they run. */
export { TaskpathProvider, type TaskpathProviderProps, useTaskpath } from './react/provider.js';
export { type JobId, type WatchOptions, useInstance, useInstanceSnapshot, useTask } from './react/useInstance.js';
export { type Instances, useInstances } from './react/useInstances.js';
export { type Execute, useExecute } from './react/useExecute.js';
export { type ConnectionView, useConnection } from './react/useConnection.js';
export { useRollup, useSpan } from './react/useRollup.js';
export { useStayAtEnd } from './react/useStayAtEnd.js';
export { useTaskLog } from './react/useTaskLog.js';
export { type RecordOfTask, useTaskRecord } from './react/useTaskRecord.js';
export type { JobError, JobEvents, TaskEvent } from './react/useJobEvents.js';
export { useReducedMotion } from './react/useReducedMotion.js';
export { Bar, type BarProps } from './components/Bar.js';
export { JobProgress, type JobProgressProps } from './components/JobProgress.js';
export { type JobState, Jobify, type JobifyProps } from './components/Jobify.js';
export { Progression, type ProgressionProps } from './components/Progression.js';
export {
  ContinuousProgression,
  type ContinuousProgressionProps,
  type ContinuousState,
} from './components/ContinuousProgression.js';
export { Workflow, type WorkflowProps } from './components/workflow/Workflow.js';
export * as format from './components/format.js';
export {
  type Estimations,
  type InstanceList,
  type InstanceSnapshot,
  type InstanceState,
  type InstanceStatus,
  type InstanceSummary,
  type ListFilter,
  type TaskLog,
  type TaskSnapshot,
  type TaskState,
  type TaskStatus,
  Taskpath,
  TaskpathError,
  type TaskpathOptions,
} from './core/index.js';
