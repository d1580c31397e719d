-- ARGV: prefix, id, how many. Removes so many paths of a deleted instance. 1 if there are more, else 0.
local id, most = ARGV[2], tonumber(ARGV[3])
local trash = prefix .. 'taskpath_trash'
if redis.call('SISMEMBER', trash, id) == 0 then
    return 0
end
local kinds = {
    workflowTasks = {'workflowTask'},
    workflowValues = {'workflowValue'},
    workflowLogs = {'logs', 'logState'},
}
for index, kept in pairs(kinds) do
    local name = key(index, id)
    local paths = redis.call('ZRANGE', name, 0, most - 1)
    for _, path in ipairs(paths) do
        for _, kind in ipairs(kept) do
            redis.call('UNLINK', at(kind, id, path))
        end
        redis.call('ZREM', name, path)
    end
    if #paths == most then
        return 1
    end
end
redis.call('UNLINK', key('workflowChanges', id), key('workflowUpdated', id))
redis.call('SREM', trash, id)
return 0
