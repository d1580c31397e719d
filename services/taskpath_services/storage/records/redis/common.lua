-- What all scripts begin with. ARGV[1] is the prefix of all keys. Keys are made here, so Redis Cluster is no
-- place for this store.

local prefix = ARGV[1]

local function key(kind, id)
    return prefix .. kind .. '_' .. id
end

local function at(kind, id, path)
    return prefix .. kind .. '_' .. id .. '_' .. path
end

-- What is known of an instance, as one text that is compared with what a write was judged by.
local function head(id)
    local live = redis.call('HMGET', key('workflow', id), 'epoch', 'revision', 'digest', 'gap')
    if live[2] then
        return 'live:' .. live[1] .. ':' .. live[2] .. ':' .. live[3] .. ':' .. (live[4] or '')
    end
    local dead = redis.call('HMGET', key('tombstone', id), 'epoch', 'revision')
    if dead[2] then
        return 'dead:' .. dead[1] .. ':' .. dead[2]
    end
    return 'none'
end

local function has_values(id)
    return redis.call('EXISTS', key('workflowValues', id)) == 1
end
