-- ARGV: prefix, id, path, the size up to which values are wanted. The instance's fields, the task's, and the values
-- beside its record by name.
local id, path, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local values = {}
local name = at('workflowValue', id, path)
for _, field in ipairs({'body', 'argument', 'updaters', 'items'}) do
    local size = redis.call('HSTRLEN', name, field .. ':-1')
    if size > 0 and size <= most then
        values[#values + 1] = field
        values[#values + 1] = redis.call('HGET', name, field .. ':-1')
    end
end
return {redis.call('HGETALL', key('workflow', id)), redis.call('HGETALL', at('workflowTask', id, path)), values}
