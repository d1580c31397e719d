-- Texts are kept as the bytes of their UTF-8: they are told apart exactly (case, accents, blanks at the end), ordered
-- by code points as in every other index, and no collation of a server has a say. To read them in a client that
-- shows bytes: select convert(name using utf8mb4) from taskpath_instances.
create table if not exists taskpath_instances (
    id varbinary(800) not null primary key,
    revision bigint not null,
    realm varbinary(800) not null,
    workflow varbinary(800) not null,
    name varbinary(800),
    status enum('inactive', 'working', 'done', 'failed', 'cancelled') not null,
    total bigint not null,
    done bigint not null,
    failed bigint not null,
    running bigint not null,
    fraction double not null,
    created_at bigint not null,
    updated_at bigint not null,
    index by_time (created_at, id),
    index by_status (status, created_at, id),
    index by_workflow (workflow, created_at, id),
    index by_workflow_status (workflow, status, created_at, id),
    index by_name (name, created_at, id),
    index by_realm (realm, created_at, id),
    index by_realm_status (realm, status, created_at, id),
    index by_realm_workflow (realm, workflow, created_at, id),
    index by_realm_workflow_status (realm, workflow, status, created_at, id),
    index by_realm_name (realm, name, created_at, id)
) engine = InnoDB row_format = dynamic default charset = utf8mb4 collate = utf8mb4_bin;
