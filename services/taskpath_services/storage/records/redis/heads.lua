-- ARGV: prefix, ids. Their heads, each followed by whether it has values beside its records.
local found = {}
for i = 2, #ARGV do
    found[#found + 1] = head(ARGV[i])
    found[#found + 1] = has_values(ARGV[i]) and 1 or 0
end
return found
