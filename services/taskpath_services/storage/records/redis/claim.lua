-- ARGV: prefix, partition, claimant, now. The new epoch, and the ids of the partition's active instances.
local partition = key('taskpath_partition', ARGV[2])
local stored = redis.call('HGET', partition, 'epoch')
local epoch = ARGV[4]
if stored and tonumber(stored) >= tonumber(epoch) then
    epoch = string.format('%.0f', tonumber(stored) + 1)
end
redis.call('HSET', partition, 'epoch', epoch, 'claimant', ARGV[3])
return {epoch, redis.call('SMEMBERS', key('taskpath_active', ARGV[2]))}
