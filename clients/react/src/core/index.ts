/** The client of a gateway without React: one connection, instances and lists that are kept up to date, commands. */
export { Taskpath, type TaskpathOptions } from './client.js';
export type { Api, InstanceFilter } from './api.js';
export type { Clock } from './clock.js';
export type { Accepted, CancelOptions, CommandOptions, ExecuteOptions } from './commands.js';
export type { Connection, ConnectionName, ConnectionState, OpenSocket, Socket } from './connection.js';
export { ConnectionLost, TaskpathError } from './errors.js';
export { type Estimate, type Estimations, estimate } from './estimate.js';
export { nearest, openedAtFirst, toggled } from './folding.js';
export type { Instance } from './instance.js';
export { type InstanceList, LOADING_LIST, type ListFilter } from './listing.js';
export type { LogStore, TaskLog } from './log.js';
export * as paths from './paths.js';
export type * from './packets.js';
export { PROTOCOL_VERSION } from './packets.js';
export { type Span, type Tasks, childrenOf, countOf, isActive, itemsWith, rollupOf, spanOf } from './rollup.js';
export type { SharedList } from './sharedList.js';
export {
  INACTIVE,
  type InstanceSnapshot,
  type InstanceState,
  type TaskSnapshot,
  type TaskState,
  unknownInstance,
  unknownTask,
} from './state.js';
export type { TaskChange } from './states.js';
export type { Change, InstanceStore } from './store.js';
export type { GetToken, Token } from './token.js';
export type { TaskTree } from './tree.js';
export { currentTask, fractionOf } from './progress.js';
