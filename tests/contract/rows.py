"""The rows of the public contract: what it promises, one claim a row, each with an id for tests to name.

A test says which rows it shows with ``@pytest.mark.contract("rest.create", …)``; `test_completeness.py` fails
for a row that no test shows. A row of a later issue says so, and has to have no test yet.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One claim.

    Attributes:
        id: what tests name it by.
        claim: what is promised, in a line.
        later: what keeps the promise later, or why it is not kept yet; empty if it is.
    """

    id: str
    claim: str
    later: str = ""


_SERVERS: Final = "servers: the four services over RabbitMQ, Redis, DynamoDB and MySQL"
_TOKENS: Final = "tokens and rate limits"
_REACT: Final = "the web client"
_RECOVERY: Final = "migrate, reindex and recover"

NAMES: Final = (
    Row(
        "names.characters",
        "names of workflows, tasks and queues: 1 to 200 characters, none of . [ ] * #, no control "
        "characters, no blanks at the ends",
    ),
    Row("names.realm", "a realm is any text of 1 to 200 characters; the default is `default`"),
    Row("names.path-limits", "a path has at most 1,000 bytes and 64 levels"),
    Row("names.instance-limit", "an instance has at most 1,000,000 tasks"),
    Row("names.generator-seconds", "a generator has 30 s"),
    Row("names.log-line", "a log line has at most 16 KiB"),
    Row("names.log-lines", "a task's log has at most 10,000 lines; older ones go, counted"),
    Row("names.value-limit", "a value has at most TASKPATH_MAX_VALUE"),
    Row("names.url-encoding", "a path in a URL is percent-encoded"),
    Row("names.ids", "ids are URL-safe text"),
    Row("patterns.wildcards", "`*` one name, `[*]` any one item, `**` any depth below, not the task itself"),
    Row("patterns.no-match", "a pattern that matches nothing is CANNOT_FIND_TASK"),
    Row("patterns.root", "`#` is everything to run or cancel, and only the instance's own status to watch"),
)

PYTHON: Final = (
    Row(
        "python.app",
        "App, Task, Retry, TaskContext and Client are imported from taskpath; @app.workflow(name, "
        "queue=) registers a generator",
    ),
    Row("python.generator", "a generator is sync or async, and returns a list of tasks"),
    Row(
        "python.typed-data",
        "data may be typed: its JSON Schema is published, input is checked (422), the generator "
        "receives the type",
    ),
    Row("python.functions", "a task function takes (), (arg) or (arg, ctx); any callable, sync or async"),
    Row("python.process", "process=True runs it in a process pool"),
    Row("python.task-fields", "Task takes all its documented keywords"),
    Row("python.dict-form", "the seed's dict form is accepted"),
    Row("python.argument-chain", "the first task receives the data as JSON, the next the result before it"),
    Row(
        "python.argument-parallel",
        "parallel subtasks and the first sequential one receive their parent's own result, or its "
        "argument; items their item",
    ),
    Row(
        "python.argument-join",
        "the next sibling receives a dict by name of subtasks, or the list of items; a skipped "
        "parallel subtask has no entry",
    ),
    Row(
        "python.argument-explicit",
        "an explicit argument goes to all tasks of the first step that runs; null is one, absent is "
        "none; with a pattern of items it is refused",
    ),
    Row(
        "python.groups",
        "body, context_var, on_complete and attempts of a group are of its own function; status is of"
        " the subtree",
    ),
    Row(
        "python.foreach-condition",
        "a foreach evaluates its condition once, before its list; skipping skips the subtree",
    ),
    Row("python.values", "tuple to list, dataclass or Struct to object, datetime to ISO text"),
    Row("python.values-refused", "NaN, Infinity, bytes and unknown types fail the task, naming the type"),
    Row("python.condition", "condition(context) false skips the task, and the argument passes through"),
    Row("python.on-complete", "on_complete(result) returns text that is logged; its own error fails nothing"),
    Row("python.debug", "debug(result, context) is called after success when debugging is on"),
    Row(
        "python.context-fields",
        "TaskContext has context (read-only), data, attempt, attempt_id, instance_id, path, realm",
    ),
    Row("python.previous-context", "previous_context is what the last execution left"),
    Row(
        "python.update-context",
        "update_context is checked at once, raises UpdaterError, and is visible at once",
    ),
    Row("python.progress", "progress(fraction, message) is seen by watchers"),
    Row("python.log", "log(*values): text as is, else JSON, joined by blanks"),
    Row("python.logging-module", "records of the logging module made inside a task go to its log"),
    Row("python.cancelled", "cancelled becomes true when the task is to stop"),
    Row("python.threads", "the context's calls are sync and safe in threads"),
    Row(
        "python.retry",
        "Retry(attempts, backoff, max_delay, jitter, on): delay = min(max_delay, backoff·2^(n-1)), "
        "give or take the jitter",
    ),
    Row("python.retry-on", "only errors of Retry.on are tried again"),
    Row(
        "python.timeout",
        "timeout is per attempt, its error type is TimeoutError, and it is retried like others",
    ),
    Row(
        "python.timeout-thread",
        "a coroutine is cancelled; a thread's result is dropped and ctx.cancelled becomes true",
    ),
    Row("python.handlers", "on_error, on_complete and on_delete are called in an executor, at least once"),
    Row(
        "python.client",
        "Client has create, execute, get, list, update, delete, delete_realm, cancel, "
        "set_context_updaters, watch, wait, result, logs",
    ),
    Row("python.client-token", "Client.token makes a token", _TOKENS),
    Row("python.client-errors", "errors have .code"),
    Row("python.client-url", "Client(url=None, token=None): by default what the environment says"),
    Row("python.testing", "taskpath.testing.run runs in memory and never raises for a failed workflow"),
    Row("python.testing-result", "its result has status, statuses, results, context, logs and errors"),
    Row(
        "updaters.commands",
        "$set $merge $unset $push $unshift $splice $toggle $updatePath, nested, several in one, in "
        "the order written",
    ),
    Row("updaters.values", "results are what JSON.stringify would give"),
    Row("updaters.join-error", "if an updater fails at the join, the parent fails, naming the path"),
)

COMMANDS: Final = (
    Row(
        "cli.up",
        "`up app.py` serves everything in one process: --port, --data, app.py or module:name, every queue",
    ),
    Row("cli.services", "`gateway | scheduler | storage | executor app.py` is one service", _SERVERS),
    Row("cli.run", "`run NAME --data` creates, executes and shows live progress"),
    Row("cli.watch", "`watch ID [PATH]` ends when the instance has"),
    Row("cli.show", "`show ID [PATH]`"),
    Row("cli.logs", "`logs ID [PATH]`"),
    Row("cli.cancel", "`cancel ID [PATH]`"),
    Row("cli.rerun", "`rerun ID [PATH]`"),
    Row("cli.delete", "`delete ID`"),
    Row("cli.ls", "`ls` lists instances"),
    Row("cli.token", "`token --realm R --scope …` prints the token alone", _TOKENS),
    Row("cli.recovery", "`migrate`, `reindex`, `recover`", _RECOVERY),
    Row("cli.doctor", "`doctor` checks settings, folder, port and page, and says what is wrong"),
    Row("cli.doctor-servers", "`doctor` checks servers", _SERVERS),
    Row("cli.json", "--json is one document"),
    Row("cli.json-lines", "for run and watch --json is one packet a line, the instance last"),
    Row("cli.exit-codes", "exit 0 done, 1 failed or cancelled, 2 usage or no gateway"),
    Row("cli.access", "--url/TASKPATH_URL and --token/TASKPATH_TOKEN"),
    Row("cli.demo", "`DEMO_EXIT=1 make demo` ends when the demo's workflow has, with its exit code"),
)

SETTINGS: Final = (
    Row("settings.flags", "environment variables, and the same names as flags"),
    Row("settings.broker", "TASKPATH_BROKER: memory://, amqp://, amqps://"),
    Row("settings.records", "TASKPATH_RECORDS: sqlite:///, redis://, rediss://, dynamodb://"),
    Row("settings.index", "TASKPATH_INDEX: sqlite:///, mysql://"),
    Row("settings.partitions", "TASKPATH_PARTITIONS"),
    Row("settings.queues", "TASKPATH_QUEUES: an executor serves only these"),
    Row("settings.concurrency", "TASKPATH_CONCURRENCY: how many coroutines an executor runs at once"),
    Row("settings.host-port", "TASKPATH_HOST and TASKPATH_PORT: health and metrics there; gateway 8080"),
    Row("settings.ports", "the other services' ports: scheduler 8081, storage 8082, executor 8083", _SERVERS),
    Row("settings.auth", "TASKPATH_AUTH_SECRET or TASKPATH_AUTH_JWKS", _TOKENS),
    Row("settings.origins", "TASKPATH_ALLOWED_ORIGINS"),
    Row("settings.grace", "TASKPATH_GRACE: how long a drain may take, in seconds"),
    Row("settings.lease", "TASKPATH_LEASE, in seconds"),
    Row("settings.max-body", "TASKPATH_MAX_BODY, 8 MiB: a larger body is 413"),
    Row(
        "settings.wrong",
        "a wrong value stops the start with name, value (never a secret) and what is expected, exit 2",
    ),
    Row(
        "settings.loopback",
        "without authentication the gateway listens on loopback only; anything else is exit 2",
    ),
    Row("settings.folder", "a data folder that another server holds is exit 2"),
    Row("settings.content-type", "the gateway wants application/json"),
    Row("settings.foreign", "an Origin or Host that is not its own or allowed gets 403"),
)

REST: Final = (
    Row("rest.json", "JSON is UTF-8 with camelCase keys; times are ms since epoch, durations ms"),
    Row("rest.workflows", "GET /workflows: name, description, queue, schema, executors"),
    Row("rest.create", "POST /instances: 201, the instance, Location"),
    Row("rest.create-fields", "workflow, data, realm, name, baseContext, ephemeral, execute, argument"),
    Row(
        "rest.create-key",
        "Idempotency-Key, per realm: the same key and body give the same instance, another body 409",
    ),
    Row(
        "rest.list",
        "GET /instances: items and nextCursor (null at the end), newest first, with the item's fields",
    ),
    Row(
        "rest.list-filters",
        "realm, status, workflow, name (prefix, case-sensitive), createdAfter (exclusive), createdBefore",
    ),
    Row("rest.list-pages", "limit (50, at most 200, else 400) and cursor"),
    Row("rest.instance", "GET /instances/{id}: all its fields, tasks and statuses; no `#` in statuses"),
    Row("rest.instance-paths", "?paths= as in watch"),
    Row("rest.rollup", "a foreach of over 1,000 items is a rollup, unless a pattern names items with […]"),
    Row(
        "rest.patch-data",
        "PATCH data: an updater; finished tasks whose path stays keep status and body, those after an"
        " inserted task become stale",
    ),
    Row("rest.patch-name", "PATCH name"),
    Row("rest.patch-running", "PATCH while it runs: 409"),
    Row("rest.delete", "DELETE /instances/{id}: 204"),
    Row("rest.delete-realm", "DELETE /realms/{realm}/instances: {deleted: n}"),
    Row("rest.execute", "POST execute: path, mode, upstream, argument: 202 {revision}"),
    Row("rest.execute-key", "execute takes an Idempotency-Key"),
    Row("rest.execute-modes", "mode all, stale or failed; upstream require, run or ignore"),
    Row("rest.cancel", "POST cancel: 202 {revision}; what does not run: 202, nothing changes"),
    Row(
        "rest.task",
        "GET task: status, stale, body or error, argument, context, contextUpdaters, executionTime, "
        "duration, attempt",
    ),
    Row("rest.task-attempts", "its attempts: attempt, status, executionTime, duration, executor, error"),
    Row("rest.task-large", "a value over 1 MiB is {ref, size}"),
    Row("rest.task-expected", "expectedDuration, once the past tells it"),
    Row(
        "rest.result",
        "GET result: the body as stored, streamed; of a group without a function or a foreach the "
        "joined result",
    ),
    Row("rest.updaters", "PUT contextUpdaters replaces what update_context left; what follows becomes stale"),
    Row("rest.updaters-running", "PUT contextUpdaters while it runs: 409"),
    Row(
        "rest.logs", "GET logs: lines with time, level, text, attempt; next is always given; after and limit"
    ),
    Row("rest.events", "GET events: SSE of the packets; id = revision"),
    Row("rest.events-resume", "Last-Event-ID resumes"),
    Row("rest.events-filters", "paths and logs"),
    Row("rest.events-end", "it ends after the terminal status unless follow=1"),
    Row("rest.executors", "GET /executors: queues, workflows, what they run, since when, last heartbeat"),
    Row("rest.health", "GET /healthz and /readyz"),
    Row("rest.metrics", "GET /metrics, for Prometheus"),
    Row("rest.openapi", "GET /api/v1/openapi.json is OpenAPI 3.1, and says what is answered"),
    Row("rest.page", "GET / is the web page"),
    Row("rest.min-revision", "GET of an instance, a task and its logs takes minRevision"),
    Row("rest.tombstone", "an ended ephemeral instance answers with 200 {id, status, deleted: true}"),
    Row(
        "rest.accepted-is-read",
        "what was answered with a revision is read by minRevision, and a create is in the list",
    ),
)

ERRORS: Final = (
    Row("errors.shape", "{error: {code, message, path?, details?}}, never a stack trace"),
    Row("errors.invalid-request", "400 INVALID_REQUEST: malformed JSON or parameter"),
    Row("errors.invalid-path", "400 INVALID_PATH"),
    Row("errors.unauthenticated", "401 UNAUTHENTICATED", _TOKENS),
    Row("errors.forbidden", "403 FORBIDDEN"),
    Row("errors.unknown-instance", "404 UNKNOWN_INSTANCE"),
    Row("errors.unknown-workflow", "404 UNKNOWN_WORKFLOW"),
    Row("errors.cannot-find-task", "404 CANNOT_FIND_TASK"),
    Row("errors.cannot-start-task", "409 CANNOT_START_TASK names the first task that is not fresh"),
    Row("errors.already-running", "409 ALREADY_RUNNING names the path that is busy"),
    Row("errors.conflict", "409 CONFLICT"),
    Row("errors.too-large", "413 TOO_LARGE"),
    Row("errors.invalid-data", "422 INVALID_DATA, naming the field"),
    Row(
        "errors.scheduler-error",
        "422 SCHEDULER_ERROR names workflow, task and the exception's message; nothing is stored",
    ),
    Row("errors.too-many", "429 TOO_MANY_REQUESTS", _TOKENS),
    Row(
        "errors.unavailable",
        "503 UNAVAILABLE with Retry-After when the broker or a database is away",
        _SERVERS,
    ),
    Row("errors.no-executor", "503 NO_EXECUTOR when every executor of a known workflow is away", _SERVERS),
)

STATUSES: Final = (
    Row("status.working", "working while anything is queued or running"),
    Row("status.failed", "else failed if a task failed"),
    Row("status.cancelled", "else cancelled if one is cancelled"),
    Row("status.done", "done if all are ok or skipped"),
    Row("status.inactive", "else inactive"),
    Row("status.stale", "staleness does not change the instance's status"),
    Row("status.cancel-stops", "a cancelled task stops what follows; what never ran stays inactive"),
    Row("status.group", "a group shows failed before cancelled"),
    Row(
        "status.mode-failed",
        "mode failed runs the failed tasks, then what never ran because of them, wherever it is",
    ),
    Row(
        "status.disjoint",
        "disjoint parts may run side by side; what an unfinished execute will run is ALREADY_RUNNING",
    ),
    Row(
        "status.shorter-list", "items beyond a new, shorter list are removed, with the packet field `removed`"
    ),
    Row(
        "status.item-to-come",
        "an item that is not there yet is CANNOT_FIND_TASK unless upstream=run produces it",
    ),
    Row("status.queue-unserved", "a queue that nobody serves leaves its task queued, with a reason"),
)

SOCKET: Final = (
    Row("ws.frames", "text frames, one JSON object each, type first"),
    Row("ws.subprotocol", "the server picks the subprotocol taskpath"),
    Row("ws.token", "the token in Authorization, in taskpath.token.<jwt>, or in auth", _TOKENS),
    Row("ws.hello", "hello {version, session} on connect"),
    Row("ws.request-id", "requestId is echoed by ack or appError"),
    Row("ws.idempotency-key", "commands carry idempotencyKey"),
    Row("ws.watch", "watchWorkflowInstance: ack, workflowDescription, setTasksStatuses, setWorkflowStatus"),
    Row("ws.watch-since", "since: only what changed after it"),
    Row("ws.watch-paths", "paths: patterns; default all"),
    Row("ws.watch-logs", "logs: true or patterns"),
    Row("ws.watch-logs-since", "logsSince: path to next"),
    Row("ws.unwatch", "unwatchWorkflowInstance"),
    Row(
        "ws.watch-instances",
        "watchInstances: the first page, then changes; what leaves the filter is in removed",
    ),
    Row("ws.unwatch-instances", "unwatchInstances"),
    Row("ws.execute-task", "executeTask {id, taskPath, mode, upstream, argument}"),
    Row("ws.execute-all", "executeAllTasks {id, argument}"),
    Row("ws.cancel", "cancel {id, taskPath}"),
    Row("ws.set-context-updaters", "setContextUpdaters {id, taskPath, updaters}"),
    Row("ws.auth", "auth {token} is acknowledged"),
    Row(
        "ws.description",
        "workflowDescription: the tree, a foreach once, on watch and whenever the tree changes",
    ),
    Row(
        "ws.statuses",
        "setTasksStatuses: on watch all watched paths, then changes, with the fields of a state",
    ),
    Row("ws.statuses-expected", "expectedDuration of a state, once the past tells it"),
    Row("ws.retry", "retry {try, attempts, nextAt} counts within one execute"),
    Row("ws.rollup", "rollup counts the statuses and the stale ones"),
    Row(
        "ws.workflow-status", "setWorkflowStatus {status, progress {total, done, failed, running, fraction}}"
    ),
    Row("ws.logs-dropped", "taskLogs says how many lines were dropped"),
    Row("ws.deleted", "instanceDeleted {id}"),
    Row("ws.resync", "resync {id, reason}, followed by a fresh state"),
    Row("ws.heartbeat", "heartbeat {revisions} at least every 15 s"),
    Row("ws.execution-error", "executionError {id, taskPath, error} once per final failure"),
    Row("ws.more", "packets of one revision carry more: true except the last"),
    Row("ws.base-revision", "what one has must be at least baseRevision, and only the last moves the cursor"),
    Row("ws.packet-size", "packets stay under 1 MiB; large trees and statuses are split"),
    Row("ws.bad-packet", "a bad packet, binary ones included, gets appError and the connection lives"),
    Row("ws.large-frame", "a frame over 1 MiB closes it with 1009"),
    Row("ws.unauthenticated", "a missing or bad token closes it with 4401", _TOKENS),
    Row(
        "ws.slow-reader",
        "state is conflated for a slow reader, in bounded memory, and nobody else is delayed",
    ),
)

TOKENS: Final = (
    Row(
        "tokens.scopes", "JWT with realm, scope, instance, path, exp; another realm's things are 404", _TOKENS
    ),
)

REACT: Final = (
    Row("react.hooks", "TaskpathProvider, useInstance, useTask, useInstances, useExecute", _REACT),
    Row("react.components", "Jobify, Progression, ContinuousProgression, Workflow", _REACT),
    Row("react.core", "@taskpath/react/core without React", _REACT),
)

ROWS: Final = (*NAMES, *PYTHON, *COMMANDS, *SETTINGS, *REST, *ERRORS, *STATUSES, *SOCKET, *TOKENS, *REACT)
"""All of them, in the order of the contract."""
