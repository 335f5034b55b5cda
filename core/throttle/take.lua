-- Takes tokens of many callers, by Redis' own clock. KEYS: where each one's level is kept, with the time it is of.
-- ARGV: TOKEN of core/throttle/domain.py, and a share as granted() there has it; then for each key its quota, need and
-- wanted. A negative wanted gives tokens back. Answers, for each key, how many were given, and the level after that.
-- All numbers are whole and below 2^53, where Lua's are exact. A level that would be full again need not be kept.
local token, share = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local answers = {}
for i, key in ipairs(KEYS) do
  local quota, need, wanted = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local full = quota * token
  local level = full
  local kept = redis.call('GET', key)
  if kept then
    local was, since = string.match(kept, '^(%d+) (%d+)$')
    level = math.min(full, tonumber(was) + math.max(0, now - tonumber(since)) * quota)
  end
  local whole = (level - level % token) / token
  local given = 0
  if need <= whole then
    given = math.min(wanted, whole)
    if share > 0 and wanted >= 0 then
      given = given + math.floor((whole - given) / share)
    end
  end
  level = math.min(full, level - given * token)
  local fresh = math.ceil((full - level) / quota / 1000) + 1
  redis.call('SET', key, string.format('%.0f %.0f', level, now), 'PX', string.format('%.0f', fresh))
  answers[2 * i - 1] = given
  answers[2 * i] = level
end
return cmsgpack.pack(answers) -- one string: a client reads a list number by number, which costs twice as much
