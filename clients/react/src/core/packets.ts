/**
 * What clients send to a gateway and receive from it: packets of the WebSocket, bodies and documents of REST.
 *
 * Made from proto/taskpath_proto/packets.py by tools/typescript_types.py; change that one and run this one.
 * Times are ms since epoch, durations ms.
 */

/** Any value that JSON can say. */
export type Json = unknown;

/** The version of the protocol, as `hello` says it. */
export const PROTOCOL_VERSION = 1;

/** Watches an instance; a second one for the same instance replaces the first. */
export interface WatchWorkflowInstance {
  type: 'watchWorkflowInstance';
  requestId?: string | number;
  /** The instance. */
  id: string;
  /** The revision that the client has; only what changed after it is sent. */
  since?: number;
  /** Patterns of the tasks whose statuses are wanted; all if absent. */
  paths?: string[];
  /** Whether log lines are wanted, or patterns of the tasks whose lines are. */
  logs?: boolean | string[];
  /** By path, the `next` of the last lines that the client has. */
  logsSince?: Record<string, number>;
}

/** Watches an instance no more. */
export interface UnwatchWorkflowInstance {
  type: 'unwatchWorkflowInstance';
  requestId?: string | number;
  id: string;
}

/** The status of an instance. */
export type InstanceStatus = 'inactive' | 'working' | 'done' | 'failed' | 'cancelled';

/** Watches the first page of a list of instances, newest first; a second one replaces the first. */
export interface WatchInstances {
  type: 'watchInstances';
  requestId?: string | number;
  realm?: string;
  status?: InstanceStatus;
  workflow?: string;
  name?: string;
  limit?: number;
}

/** Watches the list no more. */
export interface UnwatchInstances {
  type: 'unwatchInstances';
  requestId?: string | number;
}

/** Which tasks under a path an execute runs. */
export type Mode = 'all' | 'stale' | 'failed';

/** What an execute does about tasks before its path that are not fresh. */
export type Upstream = 'require' | 'run' | 'ignore';

/** Runs the tasks at a path or pattern. */
export interface ExecuteTask {
  type: 'executeTask';
  requestId?: string | number;
  id: string;
  taskPath: string;
  mode?: Mode;
  upstream?: Upstream;
  argument?: Json;
  idempotencyKey?: string;
}

/** Runs everything. */
export interface ExecuteAllTasks {
  type: 'executeAllTasks';
  requestId?: string | number;
  id: string;
  argument?: Json;
  idempotencyKey?: string;
}

/** Cancels what runs at or under a path or pattern. */
export interface CancelTask {
  type: 'cancel';
  requestId?: string | number;
  id: string;
  taskPath?: string;
  idempotencyKey?: string;
}

/** Replaces what a task's `updateContext` left: a list of updaters. */
export interface SetTaskUpdaters {
  type: 'setContextUpdaters';
  requestId?: string | number;
  id: string;
  taskPath: string;
  updaters: Json;
  idempotencyKey?: string;
}

/** Presents a token, or renews it. */
export interface Authenticate {
  type: 'auth';
  requestId?: string | number;
  token: string;
}

/** The first packet of a connection. */
export interface Hello {
  type: 'hello';
  version: number;
  session: string;
}

/** A packet was dealt with; what it changed shows at `revision`. */
export interface Ack {
  type: 'ack';
  requestId?: string | number;
  revision?: number;
}

/** The stable codes. The first four are the seed's. */
export type ErrorCode =
  | 'CANNOT_FIND_TASK'
  | 'CANNOT_START_TASK'
  | 'SCHEDULER_ERROR'
  | 'EXECUTION_FAILED'
  | 'INVALID_REQUEST'
  | 'INVALID_PATH'
  | 'INVALID_DATA'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'UNKNOWN_INSTANCE'
  | 'UNKNOWN_WORKFLOW'
  | 'ALREADY_RUNNING'
  | 'CONFLICT'
  | 'TOO_LARGE'
  | 'TOO_MANY_REQUESTS'
  | 'UNAVAILABLE'
  | 'NO_EXECUTOR';

/** An error as callers see it: never with a traceback of ours. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  path?: string;
  details?: Record<string, Json>;
}

/** A packet could not be dealt with. */
export interface AppError {
  type: 'appError';
  error: ErrorBody;
  requestId?: string | number;
}

/** A task of the described tree. The path of what stands below a foreach has `[*]` for the item. */
export interface TaskNode {
  name: string;
  description: string;
  path: string;
  children: TaskNode[];
  /** Whether it is a foreach; its items are not listed. */
  foreach?: boolean;
  /** A foreach only: how many items it has, once that is known. */
  count?: number;
}

/** The tree of an instance, or a part of it: a large one is described in several packets of one revision. */
export interface WorkflowDescription {
  type: 'workflowDescription';
  id: string;
  revision: number;
  baseRevision: number;
  more?: boolean;
  /** The tasks at the root, with their children. */
  tasks: TaskNode[];
  /**
   * Whether this adds to the description before it. A task that is there already comes again with further
   * children.
   */
  continues?: boolean;
}

/** How tasks stand. The states are encoded once, for every client that sees them. */
export interface SetTasksStatuses {
  type: 'setTasksStatuses';
  id: string;
  revision: number;
  baseRevision: number;
  more?: boolean;
  statuses: Record<string, TaskState>;
  removed?: string[];
}

/** How far an instance is, in tasks; `fraction` from 0 to 1. */
export interface InstanceProgress {
  total: number;
  done: number;
  failed: number;
  running: number;
  fraction: number;
}

/** How the instance stands. */
export interface SetWorkflowStatus {
  type: 'setWorkflowStatus';
  id: string;
  revision: number;
  baseRevision: number;
  more?: boolean;
  status: InstanceStatus;
  progress: InstanceProgress;
}

/** A line of a task's log. `time` in ms since epoch. */
export interface TaskLogLine {
  time: number;
  level: string;
  text: string;
  attempt: number;
}

/** Lines of a task's log; `dropped` lines before them were not sent, the client being too slow. */
export interface TaskLogs {
  type: 'taskLogs';
  id: string;
  taskPath: string;
  lines: TaskLogLine[];
  next: number;
  dropped?: number;
}

/** A row of the index. */
export interface InstanceSummary {
  id: string;
  workflow: string;
  realm: string;
  name: string | null;
  status: InstanceStatus;
  progress: InstanceProgress;
  createdAt: number;
  updatedAt: number;
}

/** What changed in the watched list; the first one is the page. An id in `removed` is on it no more. */
export interface InstancesChanged {
  type: 'instancesChanged';
  items: InstanceSummary[];
  removed: string[];
}

/** The instance was deleted, and is watched no more. */
export interface InstanceGone {
  type: 'instanceDeleted';
  id: string;
  /** Of an ephemeral instance that has ended: how. */
  status?: InstanceStatus;
}

/** The client is behind in a way that cannot be made up for; a fresh description and statuses follow. */
export interface Resync {
  type: 'resync';
  id: string;
  reason: string;
}

/** The last revision sent to this client, by instance. */
export interface Heartbeat {
  type: 'heartbeat';
  revisions: Record<string, number>;
}

/** An error as it is stored and sent. */
export interface ErrorInfo {
  /** One of the stable codes. */
  code: ErrorCode;
  /** One sentence for a person. */
  message: string;
  /** The task that it is about. */
  path?: string;
  /** EXECUTION_FAILED only: the class name of the exception. */
  type?: string;
  /** EXECUTION_FAILED only: the author's frames, as text. */
  traceback?: string;
  /** Further facts, for programs. */
  details?: Record<string, Json>;
}

/** A task has failed for good. */
export interface ExecutionError {
  type: 'executionError';
  id: string;
  taskPath: string;
  error: ErrorInfo;
}

/** The status of a task. */
export type TaskStatus = 'inactive' | 'queued' | 'running' | 'ok' | 'failed' | 'skipped' | 'cancelled';

/** What a task last said of itself: a fraction from 0 to 1, and a message. */
export interface Progress {
  fraction: number;
  message?: string;
}

/** Which try of how many this is, within one execute; `nextAt` (ms since epoch) while it waits. */
export interface RetryState {
  try: number;
  attempts: number;
  nextAt?: number;
}

/** How many tasks of a collapsed foreach have which status, and how many of them are stale. */
export interface RollupView {
  total: number;
  inactive: number;
  queued: number;
  running: number;
  ok: number;
  failed: number;
  skipped: number;
  cancelled: number;
  stale: number;
}

/** A task as watchers see it. Times in ms since epoch, durations in ms. */
export interface TaskState {
  /** Of the task, of the subtree for a group. */
  status: TaskStatus;
  /**
   * Whether it is finished and no longer agrees with what stands before it; for a group, whether any task
   * of its subtree is.
   */
  stale: boolean;
  /** The start of that attempt. */
  executionTime: number | null;
  /** How long it took. */
  duration: number | null;
  /** The number of the current attempt, 0 if there was none. */
  attempt: number;
  /** How long it usually takes, as far as the past tells; a group and a foreach with everything below. */
  expectedDuration?: number;
  /** The usual distance from that. */
  expectedSpread?: number;
  /** What the task last said of itself. */
  progress?: Progress;
  /** Which try this is, and when the next one comes. */
  retry?: RetryState;
  /** Of the last attempt, if it failed. */
  error?: ErrorInfo;
  /** Of a collapsed foreach. */
  rollup?: RollupView;
  /** Why it is not further. */
  reason?: string;
}

/** The body of every response that is not a success. */
export interface ErrorResponse {
  error: ErrorBody;
}

/** The body of `POST /instances`. */
export interface CreateInstanceBody {
  workflow: string;
  data?: Json;
  realm?: string;
  name?: string;
  baseContext?: Json;
  ephemeral?: boolean;
  execute?: boolean;
  argument?: Json;
}

/** The body of `POST /instances/{id}/execute`. */
export interface ExecuteBody {
  path?: string;
  mode?: Mode;
  upstream?: Upstream;
  argument?: Json;
}

/** The body of `POST /instances/{id}/cancel`. */
export interface CancelBody {
  path?: string;
}

/** The body of `PATCH /instances/{id}`: an updater of the data, or a name (null for none). */
export interface UpdateBody {
  data?: Json;
  name?: string | null;
}

/** The body of `PUT …/contextUpdaters`: a list of updaters. */
export interface ContextUpdatersBody {
  updaters: Json;
}

/** The answer to a command. */
export interface RevisionView {
  revision: number;
}

/** How many instances were deleted. */
export interface DeletedView {
  deleted: number;
}

/** A value that is too large to be shown in place. `size` in bytes. */
export interface ValueRef {
  ref: string;
  size: number;
}

/** An instance, as `GET /instances/{id}` shows it. Times in ms since epoch. */
export interface InstanceDocument {
  id: string;
  workflow: string;
  realm: string;
  name: string | null;
  data: Json;
  baseContext: Json;
  ephemeral: boolean;
  revision: number;
  status: InstanceStatus;
  progress: InstanceProgress;
  createdAt: number;
  updatedAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  tasks: TaskNode[];
  statuses: Record<string, TaskState>;
}

/** What is left of an ephemeral instance for ten minutes after it has ended. */
export interface TombstoneDocument {
  id: string;
  status: InstanceStatus;
  deleted: boolean;
}

/** A page of instances, newest first; `nextCursor` is null at the end. */
export interface InstancesDocument {
  items: InstanceSummary[];
  nextCursor: string | null;
}

/** How one attempt stands or ended. */
export type AttemptStatus = 'running' | 'ok' | 'failed' | 'cancelled' | 'lost';

/** One attempt that is over, or the one that runs. */
export interface AttemptRecord {
  attempt: number;
  status: AttemptStatus;
  executionTime?: number;
  duration?: number;
  executor?: string;
  error?: ErrorInfo;
}

/** The record of a task, as `GET /instances/{id}/tasks/{path}` shows it. */
export interface TaskDocument {
  path: string;
  revision: number;
  status: TaskStatus;
  stale: boolean;
  executionTime: number | null;
  duration: number | null;
  attempt: number;
  /** What `updateContext` left. */
  contextUpdaters: Json;
  /** All that are kept, the current one last. */
  attempts: AttemptRecord[];
  /**
   * How long it usually takes, in ms, as far as the past tells; a group and a foreach with everything
   * below.
   */
  expectedDuration?: number;
  /** The usual distance from that, in ms. */
  expectedSpread?: number;
  /** Its result, if there is one. */
  body?: Json;
  /** What the current attempt was given. */
  argument?: Json;
  /** What it sees in the context, as the tree stands now. */
  context?: Json;
  error?: ErrorInfo;
  progress?: Progress;
  retry?: RetryState;
  rollup?: RollupView;
  count?: number;
  executor?: string;
  reason?: string;
}

/** Lines of a log; `next` is to be passed as `after`. */
export interface LogsDocument {
  lines: TaskLogLine[];
  next: number;
}

/** A workflow that executors have announced; `schema` is the JSON Schema of its data, null if untyped. */
export interface WorkflowView {
  name: string;
  description: string;
  queue: string;
  schema: Record<string, Json> | null;
  executors: string[];
}

/** The known workflows, by name. */
export interface WorkflowsDocument {
  items: WorkflowView[];
}

/** An executor that has been heard of. */
export interface ExecutorView {
  id: string;
  /** `serving`, `leaving` (it takes no more work) or `away` (not heard of for a while). */
  status: string;
  queues: string[];
  workflows: string[];
  /** How many attempts it runs. */
  running: number;
  /** How many coroutines it runs at once. */
  concurrency: number;
  /** When it started, ms since epoch, by its own clock. */
  startedAt: number;
  /** When it was last heard of, ms since epoch. */
  lastHeartbeat: number;
}

/** The executors, by id. */
export interface ExecutorsDocument {
  items: ExecutorView[];
}

/** Everything that a client may send. */
export type ClientPacket =
  | WatchWorkflowInstance
  | UnwatchWorkflowInstance
  | WatchInstances
  | UnwatchInstances
  | ExecuteTask
  | ExecuteAllTasks
  | CancelTask
  | SetTaskUpdaters
  | Authenticate;

/** Everything that a gateway sends. */
export type ServerPacket =
  | Hello
  | Ack
  | AppError
  | WorkflowDescription
  | SetTasksStatuses
  | SetWorkflowStatus
  | TaskLogs
  | InstancesChanged
  | InstanceGone
  | Resync
  | Heartbeat
  | ExecutionError;
