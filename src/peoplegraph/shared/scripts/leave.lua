-- A gateway ends: nobody waits for it any more, and what it held is free.
-- KEYS: the members, their shares. ARGV: the member.
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
