-- An answer, if one is kept, and what it tells of was not written since.
--
-- KEYS: the answer, then the versions of what it tells of. ARGV: a version for what has none yet, and how long that
-- stands (ms). A version that is gone is never as good as an old one: it may have gone because memory was needed.
-- Returns the versions (empty while a write may yet take effect), the time (ms), and if there is one the answer, and
-- how long it is fresh (ms).
local versions = redis.call('MGET', unpack(KEYS))
local kept = table.remove(versions, 1)
for index, version in ipairs(versions) do
  if not version then
    versions[index] = ARGV[1]
    redis.call('SET', KEYS[index + 1], ARGV[1], 'PX', ARGV[2])
  end
end
local all = table.concat(versions, ' ')
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if string.find(all, 'open', 1, true) then return {'', now} end
if kept and string.sub(kept, 1, #all + 1) == all .. '\n' then
  return {all, now, string.sub(kept, #all + 2), redis.call('PTTL', KEYS[1])}
end
return {all, now}
