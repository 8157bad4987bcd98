-- What every script knows of the entries of one namespace.
--
-- An entry is a string under `prefix .. key`: its number, its end in milliseconds since the Unix epoch
-- (nothing for none) and its value, with a space behind each of the first two. `order` finds keys by
-- number, `ends` by end, `last` counts the numbers.
local order, ends, last = KEYS[1], KEYS[2], KEYS[3]
local prefix = ARGV[1]
-- The clock of a test. The server's own is everybody's, whatever the clocks of the hosts say.
local told = tonumber(ARGV[2])
local now = told
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function digits(number)
  return string.format('%.0f', number)
end

-- The entry of a key, if it is there and has not ended.
local function standing(key)
  local raw = redis.call('GET', prefix .. key)
  if not raw then
    return nil
  end
  local number, ending, at = string.match(raw, '^(%d+) (%d*) ()')
  if not number then
    error('it holds something else under ' .. prefix .. key)
  end
  ending = tonumber(ending)
  if ending and ending <= now then
    return nil
  end
  return { number = tonumber(number), ends = ending, value = string.sub(raw, at) }
end
