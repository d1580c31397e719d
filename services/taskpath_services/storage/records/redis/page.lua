-- ARGV: prefix, id, the name of an ordered set of paths, from (included), to (excluded), how many, fields. Paths of that
-- set, each followed by those fields of its task.
local id = ARGV[2]
local found = {}
for _, path in ipairs(redis.call('ZRANGEBYLEX', key(ARGV[3], id), '[' .. ARGV[4], '(' .. ARGV[5], 'LIMIT', 0, ARGV[6])) do
    found[#found + 1] = path
    found[#found + 1] = redis.call('HMGET', at('workflowTask', id, path), unpack(ARGV, 7))
end
return found
