-- ARGV: prefix, now, MessagePack of a list of writes, then texts that the writes refer to by number: values, and
-- the tasks of a change (MessagePack again).
-- A write is done whole, or not at all. For each: 0 it is done, 1 it was judged by what is out of date, 2 what was
-- there under its id is still being removed.
-- Numbers that may be large come as texts: Lua would write them with an exponent.

local DONE, STALE, DIRTY = 0, 1, 2
local SOME = 500
local now = ARGV[2]

-- Calls a command with many arguments in parts.
local function in_parts(command, name, arguments, width)
    local step = SOME * (width or 1)
    for i = 1, #arguments, step do
        redis.call(command, name, unpack(arguments, i, math.min(i + step - 1, #arguments)))
    end
end

local function is_swept(id)
    return redis.call('SISMEMBER', prefix .. 'taskpath_trash', id) == 0
end

-- Whether a write is behind the epoch of its partition; raises that if it is ahead.
local function is_behind(partition, epoch)
    local name = key('taskpath_partition', partition)
    local stored = redis.call('HGET', name, 'epoch')
    if stored and tonumber(stored) > tonumber(epoch) then
        return true
    end
    if not stored or tonumber(stored) < tonumber(epoch) then
        redis.call('HSET', name, 'epoch', epoch, 'claimant', '')
    end
    return false
end

-- Removes a task with its log and values.
local function remove_task(id, path)
    redis.call('UNLINK', at('workflowTask', id, path), at('logs', id, path), at('logState', id, path),
        at('workflowValue', id, path))
    redis.call('ZREM', key('workflowChanges', id), path)
    redis.call('ZREM', key('workflowUpdated', id), path)
    redis.call('ZREM', key('workflowTasks', id), path)
    redis.call('ZREM', key('workflowValues', id), path)
    redis.call('ZREM', key('workflowLogs', id), path)
end

local function remove_spans(id, spans)
    for _, kind in ipairs({'workflowTasks', 'workflowValues', 'workflowLogs'}) do
        local name = key(kind, id)
        if redis.call('EXISTS', name) == 1 then
            for _, span in ipairs(spans) do
                for _, path in ipairs(redis.call('ZRANGEBYLEX', name, '[' .. span[1], '(' .. span[2])) do
                    remove_task(id, path)
                end
            end
        end
    end
end

-- Removes what is kept beside a record of a value that has something newer, and puts what is new.
local function refresh(id, path, field, version, text)
    local name = at('workflowValue', id, path)
    local known = redis.call('HKEYS', name)
    if #known > 0 then
        local least = version
        if version < 0 then
            local before = redis.call('HGET', at('workflowTask', id, path), field)
            local number = before and string.match(before, '^@%["blob",.*,(%-?%d+),%d+%]$')
            least = number and tonumber(number) + 1 or 0
        end
        for _, old in ipairs(known) do
            local number = string.match(old, '^' .. field .. ':(%-?%d+)$')
            if number and tonumber(number) < least and not (number == '-1' and version == -1) then
                redis.call('HDEL', name, old)
            end
        end
    end
    if text then
        redis.call('HSET', name, field .. ':-1', text)
        redis.call('ZADD', key('workflowValues', id), 0, path)
    elseif #known > 0 and redis.call('EXISTS', name) == 0 then
        redis.call('ZREM', key('workflowValues', id), path)
    end
end

-- Takes away what a whole change replaces: all but the logs and values of the tasks that it names.
local function make_room(id, tasks, with_instance)
    local named = {}
    for _, task in ipairs(tasks) do
        named[task[1]] = true
    end
    for _, path in ipairs(redis.call('ZRANGE', key('workflowTasks', id), 0, -1)) do
        if named[path] then
            redis.call('UNLINK', at('workflowTask', id, path))
        else
            remove_task(id, path)
        end
    end
    redis.call('UNLINK', key('workflowUpdated', id))
    if with_instance then
        local name = key('workflow', id)
        local inputs = redis.call('HMGET', name, 'plan', 'data', 'baseContext')
        redis.call('DEL', name)
        for i, field in ipairs({'plan', 'data', 'baseContext'}) do
            if inputs[i] then
                redis.call('HSET', name, field, inputs[i])
            end
        end
    end
end

local function write_tasks(id, revision, tasks)
    local paths, revisions = {}, {}
    for _, task in ipairs(tasks) do
        local path, fields, gone = task[1], task[2], task[3]
        local name = at('workflowTask', id, path)
        redis.call('HSET', name, 'revision', revision, unpack(fields))
        for i = 1, #fields, 2 do
            if fields[i] == 'updaters' then
                redis.call('ZADD', key('workflowUpdated', id), 0, path)
            end
        end
        if #gone > 0 then
            redis.call('HDEL', name, unpack(gone))
            for _, field in ipairs(gone) do
                if field == 'updaters' then
                    redis.call('ZREM', key('workflowUpdated', id), path)
                end
            end
        end
        paths[#paths + 1] = 0
        paths[#paths + 1] = path
        revisions[#revisions + 1] = revision
        revisions[#revisions + 1] = path
    end
    in_parts('ZADD', key('workflowTasks', id), paths, 2)
    in_parts('ZADD', key('workflowChanges', id), revisions, 2)
end

local function is_some(list)
    return list and list ~= '[]'
end

-- Keeps where the instance is listed in line with its record.
local function list_instance(id, partition)
    local state = redis.call('HMGET', key('workflow', id), 'runs', 'handlers', 'deleting')
    local deleting = state[3] == 'true'
    if is_some(state[1]) or is_some(state[2]) or deleting then
        redis.call('SADD', key('taskpath_active', partition), id)
    else
        redis.call('SREM', key('taskpath_active', partition), id)
    end
    if deleting then
        redis.call('ZREM', prefix .. 'taskpath_instances', id)
    else
        redis.call('ZADD', prefix .. 'taskpath_instances', 0, id)
    end
end

local writers = {}

function writers.change(w)
    local id, known = w.id, w.head
    if head(id) ~= known or (not w.refreshed and has_values(id)) or is_behind(w.partition, w.epoch) then
        return STALE
    end
    local live = string.sub(known, 1, 4) == 'live'
    if not live and not is_swept(id) then
        return DIRTY
    end
    if w.spans then
        remove_spans(id, w.spans)
    end
    if not w.revision then
        return DONE
    end
    if string.sub(known, 1, 4) == 'dead' then
        redis.call('UNLINK', key('tombstone', id))
        redis.call('ZREM', prefix .. 'taskpath_tombstones', id)
    end
    local tasks = cmsgpack.unpack(ARGV[w.tasks])
    for _, value in ipairs(w.refreshed or {}) do
        refresh(id, value[1], value[2], value[3], value[4] > 0 and ARGV[value[4]])
    end
    if w.whole then
        make_room(id, tasks, w.fields)
    end
    local name = key('workflow', id)
    redis.call('HSET', name, 'epoch', w.epoch, 'revision', w.revision, 'digest', w.digest, 'partition',
        w.partition)
    if w.gap then
        redis.call('HSET', name, 'gap', w.gap)
    elseif w.whole then
        redis.call('HDEL', name, 'gap')
    end
    if w.spans or w.whole then
        redis.call('HSET', name, 'removed', w.revision)
    end
    write_tasks(id, w.revision, tasks)
    if w.fields then
        redis.call('HSET', name, 'indexed', w.revision, unpack(w.fields))
        if #w.gone > 0 then
            redis.call('HDEL', name, unpack(w.gone))
        end
    end
    if w.fields or not live then
        list_instance(id, w.partition)
    end
    return DONE
end

function writers.delete(w)
    local id, known = w.id, w.head
    if head(id) ~= known or is_behind(w.partition, w.epoch) then
        return STALE
    end
    redis.call('UNLINK', key('workflow', id))
    redis.call('SREM', key('taskpath_active', w.partition), id)
    redis.call('ZREM', prefix .. 'taskpath_instances', id)
    redis.call('HSET', key('tombstone', id), 'epoch', w.epoch, 'revision', w.revision, 'deletedAt', now,
        'realm', w.realm)
    if w.status then
        redis.call('HSET', key('tombstone', id), 'status', w.status)
    end
    redis.call('ZADD', prefix .. 'taskpath_tombstones', now, id)
    redis.call('SADD', prefix .. 'taskpath_trash', id)
    return DONE
end

function writers.put(w)
    if not is_swept(w.id) then
        return DIRTY
    end
    redis.call('HSET', at('workflowValue', w.id, w.path), w.field, ARGV[w.text])
    redis.call('ZADD', key('workflowValues', w.id), 0, w.path)
    return DONE
end

-- Adds the lines that are new: those of one attempt come in the order of their numbers.
function writers.logs(w)
    local id, path = w.id, w.path
    local known = string.sub(head(id), 1, 4)
    if known == 'dead' then
        return STALE
    end
    if known ~= 'live' and not is_swept(id) then
        return DIRTY
    end
    local state = at('logState', id, path)
    local last, seen, attempts = 0, {}, 0
    local stored = redis.call('HGETALL', state)
    for i = 1, #stored, 2 do
        if stored[i] == 'last' then
            last = tonumber(stored[i + 1])
        else
            seen[tonumber(stored[i])] = tonumber(stored[i + 1])
            attempts = attempts + 1
        end
    end
    local added = {}
    for _, line in ipairs(w.lines) do
        local attempt, number = line[1], line[2]
        if number > (seen[attempt] or 0) then
            if not seen[attempt] then
                attempts = attempts + 1
            end
            seen[attempt] = number
            added[#added + 1] = line[3]
        end
    end
    if #added == 0 then
        return DONE
    end
    local name = at('logs', id, path)
    in_parts('RPUSH', name, added)
    if redis.call('LLEN', name) >= w.most + w.slack then
        redis.call('LTRIM', name, -w.most, -1)
    end
    local numbers = {}
    for attempt in pairs(seen) do
        numbers[#numbers + 1] = attempt
    end
    table.sort(numbers)
    local fields = {'last', string.format('%.0f', last + #added)}
    for i, attempt in ipairs(numbers) do
        local field = string.format('%.0f', attempt)
        if #numbers - i < w.attempts then
            fields[#fields + 1] = field
            fields[#fields + 1] = string.format('%.0f', seen[attempt])
        else
            redis.call('HDEL', state, field)
        end
    end
    in_parts('HSET', state, fields, 2)
    redis.call('ZADD', key('workflowLogs', id), 0, path)
    return DONE
end

local results = {}
for i, write in ipairs(cmsgpack.unpack(ARGV[3])) do
    results[i] = writers[write.kind](write)
end
return results
