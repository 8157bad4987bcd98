local values = {}
for index = 3, #ARGV do
  local entry = standing(ARGV[index])
  values[index - 2] = entry and ('=' .. entry.value) or ''
end
return values
