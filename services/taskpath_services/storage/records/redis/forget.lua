-- ARGV: prefix, the time before which the dead are forgotten, how many. Their ids. What came so late that it outlived
-- its instance is for the trash.
local tombstones = prefix .. 'taskpath_tombstones'
local ids = redis.call('ZRANGEBYSCORE', tombstones, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
    redis.call('UNLINK', key('tombstone', id))
    redis.call('ZREM', tombstones, id)
    redis.call('SADD', prefix .. 'taskpath_trash', id)
end
return ids
