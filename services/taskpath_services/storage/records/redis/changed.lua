-- ARGV: prefix, id, a revision, how many, fields. What an instance has become since a revision: false if it is
-- gone, else its fields, and the tasks that changed, each followed by those fields; false instead if they are more.
local id, since, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local instance = redis.call('HGETALL', key('workflow', id))
if #instance == 0 then
    return false
end
local changes = key('workflowChanges', id)
if redis.call('ZCOUNT', changes, '(' .. since, '+inf') > most then
    return {instance, false}
end
local found = {}
for _, path in ipairs(redis.call('ZRANGEBYSCORE', changes, '(' .. since, '+inf')) do
    found[#found + 1] = path
    found[#found + 1] = redis.call('HMGET', at('workflowTask', id, path), unpack(ARGV, 5))
end
return {instance, found}
