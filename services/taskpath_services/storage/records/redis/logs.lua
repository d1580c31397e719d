-- ARGV: prefix, id, path, after, limit, bytes, the most lines of a log. False if there is no such instance, else
-- the position of the last line, the position of the first line that is given, and lines of so many bytes.
local id, path = ARGV[2], ARGV[3]
local after, limit, bytes, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local instance = redis.call('HMGET', key('workflow', id), 'revision', 'deleting')
if not instance[1] or instance[2] == 'true' then
    return false
end
local name = at('logs', id, path)
local last = tonumber(redis.call('HGET', at('logState', id, path), 'last') or 0)
local gone = last - redis.call('LLEN', name)
local start = math.max(after, last - most, gone, 0)
local lines, size = {}, 0
while #lines < limit and size <= bytes do
    local from = start - gone + #lines
    local some = redis.call('LRANGE', name, from, from + math.min(64, limit - #lines) - 1)
    if #some == 0 then
        break
    end
    for _, line in ipairs(some) do
        lines[#lines + 1] = line
        size = size + #line
    end
end
return {last, start + 1, lines}
