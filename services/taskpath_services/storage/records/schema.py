"""The tables of the SQLite record store, and its statements."""

from __future__ import annotations

from typing import Final

MARK: Final = 0x7470_7263
MIGRATIONS: Final = (
    """
    create table partitions (partition integer primary key, epoch integer not null, claimant text not null);

    create table instances (
        id text primary key, partition integer not null, epoch integer not null, revision integer not null,
        digest integer not null, indexed integer not null, active integer, gap integer, doc text not null
    ) without rowid;
    create index active_instances on instances (partition, id) where active;

    create table inputs (id text primary key, plan text, data text, base_context text) without rowid;

    create table tasks (
        instance text not null, path text not null, revision integer not null, doc text not null,
        primary key (instance, path)
    ) without rowid;

    create table texts (
        instance text not null, path text not null, name text not null, version integer not null,
        json text not null, unique (instance, path, name, version)
    );

    create table log_heads (
        instance text not null, path text not null, doc text not null, primary key (instance, path)
    ) without rowid;
    create table log_lines (
        instance text not null, path text not null, position integer not null, doc text not null,
        primary key (instance, path, position)
    ) without rowid;

    create table tombstones (
        id text primary key, epoch integer not null, revision integer not null, deleted_at integer not null
    ) without rowid;
    create index tombstones_by_time on tombstones (deleted_at)
    """,
    """
    create table deployment (partitions integer not null);

    drop index active_instances;
    alter table instances rename column active to running;
    alter table instances add column handling integer;
    alter table instances add column deleting integer;
    alter table instances add column removed integer;
    create index active_instances on instances (partition, id) where running or handling or deleting;

    alter table tombstones add column realm text;
    alter table tombstones add column status text
    """,
)
"""Tasks have no index by revision: a read of what changed after one scans 100,000 tasks in 11 ms without
Python's lock, and an index would make every task committed a quarter dearer."""

HEADS: Final = """
    select i.value, h.epoch, h.revision, h.digest, nullif(h.gap, 0), t.epoch, t.revision,
           exists (select 1 from texts x where x.instance = i.value)
    from json_each(?) i left join instances h on h.id = i.value left join tombstones t on t.id = i.value
"""

# The events are taken apart before their tasks are looped over, or each row would parse its whole event.
TASKS: Final = """
    insert into tasks (instance, path, revision, doc)
    with event as materialized (
        select value ->> 0 as instance, value ->> 1 as revision, value -> 2 as tasks from json_each(?)
    )
    select event.instance, task.key, event.revision, task.value
    from event, json_each(event.tasks) task where true
    on conflict do update set revision = excluded.revision, doc = json_patch(doc, excluded.doc)
"""

INSTANCES: Final = """
    insert into instances (id, partition, epoch, revision, digest, indexed, running, handling, deleting,
                           removed, gap, doc)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, coalesce(value ->> 5, 0),
           value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value -> 11
    from json_each(?1) where true
    on conflict do update set
        partition = excluded.partition, epoch = excluded.epoch, revision = excluded.revision,
        digest = excluded.digest, indexed = max(indexed, excluded.indexed),
        running = coalesce(excluded.running, running), handling = coalesce(excluded.handling, handling),
        deleting = coalesce(excluded.deleting, deleting), removed = coalesce(excluded.removed, removed),
        gap = nullif(coalesce(excluded.gap, gap), 0), doc = json_patch(doc, excluded.doc)
"""

TASK_PATHS: Final = "select path from tasks where instance = ?"

ACTIVE: Final = "select id from instances where partition = ? and (running or handling or deleting)"

INPUTS: Final = """
    insert into inputs (id, plan, data, base_context) values (?, ?, ?, ?)
    on conflict do update set plan = coalesce(excluded.plan, plan), data = coalesce(excluded.data, data),
        base_context = coalesce(excluded.base_context, base_context)
"""

OUTDATED: Final = """
    delete from texts where rowid in (
        select x.rowid
        from (select value ->> 0 as instance, value ->> 1 as path, value ->> 2 as name, value ->> 3 as version
              from json_each(?)) r
        join texts x on x.instance = r.instance and x.path = r.path and x.name = r.name
        left join tasks t on t.instance = r.instance and t.path = r.path
        where x.version < coalesce(nullif(r.version, -1), case
                when t.doc ->> ('$.' || r.name || '[0]') = 'blob'
                    then (t.doc ->> ('$.' || r.name || '[3]')) + 1
                else 0 end)
            and (x.version <> -1 or r.version is not -1)
    )
"""

TEXT: Final = """
    insert into texts (instance, path, name, version, json) values (?, ?, ?, ?, ?)
    on conflict do update set json = excluded.json
"""

LOG_HEADS: Final = """
    select json_group_array(json_array(h.instance, h.path, json(h.doc)))
    from json_each(?) k join log_heads h on h.instance = k.value ->> 0 and h.path = k.value ->> 1
"""

PUT_LOG_HEADS: Final = """
    insert into log_heads (instance, path, doc) select value ->> 0, value ->> 1, value -> 2 from json_each(?)
    where true on conflict do update set doc = excluded.doc
"""

PUT_LOG_LINES: Final = """
    insert into log_lines (instance, path, position, doc)
    select value ->> 0, value ->> 1, value ->> 2, value -> 3 from json_each(?) where true
    on conflict do update set doc = excluded.doc
"""

REMOVED: Final = """
    delete from {table} where (instance, path) in (
        select r.instance, r.path from json_each(?2) s
        join {table} r on r.instance = ?1 and r.path >= s.value ->> 0 and r.path < s.value ->> 1
    )
"""

BY_PATH: Final = ("tasks", "texts", "log_heads", "log_lines")
"""Tables with a row for a path of an instance."""

PAGE: Final = """
    select cast('[' || group_concat('{"revision":' || revision || ',' || substr(doc, 2)) || ']' as blob),
           max(path), count(*)
    from (select revision, path, doc from tasks
          where instance = ? and path >= ? and path < ? and revision > ? order by path limit ?)
"""
"""Records in one row. A document is an object with at least a path, so the revision is put in as text."""

LEAN_PAGE: Final = PAGE.replace(
    "path, doc from", "path, json_remove(doc, '$.body', '$.argument', '$.items', '$.updaters') as doc from"
)

RESULTS: Final = """
    select cast(json_group_array(json_array(
               path, coalesce(doc ->> '$.status', 'inactive'), doc ->> '$.own', coalesce(doc ->> '$.left', 0),
               doc -> '$.body', doc -> '$.updaters', doc -> '$.items', doc ->> '$.count')) as blob),
           max(path), count(*)
    from (select path, doc from tasks where instance = ? and path >= ? and path < ? order by path limit ?)
"""

UPDATED_RESULTS: Final = RESULTS.replace(
    "order by", """and instr(doc, '"updaters":[') and doc ->> '$.updaters' is not null order by"""
)
"""Most documents are told by their text alone, without being parsed."""

COUNTS: Final = """
    select json_group_object(t.path, t.doc ->> '$.count')
    from json_each(?2) p join tasks t on t.instance = ?1 and t.path = p.value
"""
