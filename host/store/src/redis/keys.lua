local most = tonumber(ARGV[4])
local rows = redis.call('ZRANGEBYSCORE', order, ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
local more = #rows / 2 > most
local page = { more and '1' or '', '' }
for row = 1, math.min(#rows / 2, most) do
  local key = rows[2 * row - 1]
  page[2] = digits(tonumber(rows[2 * row]))
  if standing(key) then
    page[#page + 1] = key
  end
end
return page
