-- Something was written: what is kept of it holds no longer, and every gateway is told.
--
-- KEYS: the members, then the versions of what was written. ARGV: the new version (it begins with `open` if the write
-- may yet take effect, for as long as it stands), how long it stands (ms), the channel (empty: nobody is told), what is
-- told there.
-- Returns the members whose lease runs: who must have heard of it before the write is answered.
for index = 2, #KEYS do
  local version, stands = ARGV[1], tonumber(ARGV[2])
  local old = redis.call('GET', KEYS[index])
  if old and string.sub(old, 1, 4) == 'open' then  -- another write may yet take effect, whatever became of this one
    local is_open = string.sub(version, 1, 4) == 'open'
    local remains = redis.call('PTTL', KEYS[index])
    stands = is_open and math.max(stands, remains) or remains
    version = is_open and version or 'open' .. version
  end
  redis.call('SET', KEYS[index], version, 'PX', math.max(stands, 1))
end
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
local clock = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], clock[1] * 1000 + math.floor(clock[2] / 1000), '+inf')
