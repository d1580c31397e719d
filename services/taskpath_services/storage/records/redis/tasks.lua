-- ARGV: prefix, id, how many fields, fields, paths. Of each path those fields of its task.
local id, count = ARGV[2], tonumber(ARGV[3])
local found = {}
for i = 4 + count, #ARGV do
    found[#found + 1] = redis.call('HMGET', at('workflowTask', id, ARGV[i]), unpack(ARGV, 4, 3 + count))
end
return found
