-- How long tasks took, by realm, workflow and path (items as [*]). `times` is what storage/history/times.py makes of
-- many durations; the id is a digest of the three texts.
create table if not exists taskpath_durations (
    id binary(16) not null primary key,
    realm varbinary(800) not null,
    workflow varbinary(800) not null,
    path varbinary(1000) not null,
    times text character set ascii collate ascii_bin not null,
    seen_at bigint not null,
    index by_workflow (realm, workflow, seen_at, id)
) engine = InnoDB row_format = dynamic default charset = utf8mb4 collate = utf8mb4_bin;
