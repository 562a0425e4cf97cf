-- What recipes see of Lua: what is there, what is not, and that nothing depends on addresses or hashes.

local function fails(f, expected)
  local ok, message = pcall(f)
  if ok then
    error("did not fail, expected: " .. expected, 2)
  end
  message = type(message) == "string" and message:gsub("^[^:]*%.lua:%d+: ", "") or tostring(message)
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

-- Names that must not be there.
for _, name in ipairs { "io", "os", "debug", "package", "load", "loadstring", "loadfile", "dofile",
  "collectgarbage", "coroutine", "getmetatable", "rawget", "rawset", "rawequal", "rawlen", "xpcall",
  "warn", "_G", "_VERSION", "rawpairs" } do
  assert(not pcall(function() return _ENV[name] end), name)
end
assert(string.dump == nil and math.random == nil and math.randomseed == nil)
fails(function() return imag end, "unknown name 'imag', did you mean 'image'?")
fails(function() return qqqqqqq end, "unknown name 'qqqqqqq'")
own = 1                                    -- one's own globals are fine
assert(own == 1)

-- pairs and next go in order.
local t = { z = 1, a = 2, [3] = 3, [1] = 4, [2.5] = 5, [-1] = 6, [true] = 7, [false] = 8, B = 9 }
local seen = {}
for k in pairs(t) do
  seen[#seen + 1] = tostring(k)
end
assert(table.concat(seen, " ") == "-1 1 2.5 3 B a z false true", table.concat(seen, " "))
local key, walked = nil, {}
repeat
  key = next(t, key)
  walked[#walked + 1] = tostring(key)
until key == nil
assert(table.concat(walked, " ") == "-1 1 2.5 3 B a z false true nil")
assert(next({}) == nil)
for k in pairs(t) do
  t[k] = nil                               -- removing while iterating is allowed
end
assert(next(t) == nil)
local removed = { a = 1, b = 2, c = 3 }
local visited = ""
for k in pairs(removed) do
  visited = visited .. k
  removed.b = nil
end
assert(visited == "ac")
fails(function() pairs { [{}] = 1, [print] = 2 } end,
  "pairs: several keys are tables or functions, which have no order; use a list")
fails(function() pairs(nil) end, "bad argument #1 to 'pairs' (table expected, got nil)")
local proxied = {}
local step, other = pairs { only = 1 }
assert(select("#", step(other, "only")) == 0 and step(other, nil) == "only")
other.before = 2
assert(step(other, nil) == "before" and step({ z = 1, a = 2, k = 3 }, nil) == "a")
other.before, other.only = nil, nil
assert(step(other, nil) == nil and pairs({})({}, nil) == nil)
seen = {}
local growing = { first = 1 }
for k in pairs(growing) do
  growing[k .. "+"] = 1
  seen[#seen + 1] = k
end
assert(table.concat(seen, " ") == "first")
for k, v in pairs(setmetatable({}, { __pairs = function() return next, { x = 1 }, nil end })) do
  proxied[k] = v
end
assert(proxied.x == 1)

-- No addresses.
assert(tostring({}) == "table" and tostring(print) == "function" and ("%s"):format({}) == "table")
assert(tostring(setmetatable({}, { __tostring = function() return "me" end })) == "me")
assert(tostring(math.mininteger) == "-9223372036854775808" and tostring(-0) == "0" and tostring(-0.0) == "-0.0")
assert(tostring(1) == "1" and tostring(1.5) == "1.5" and tostring(nil) == "nil" and tostring("x") == "x")
fails(function() return ("%p"):format({}) end, "string.format: '%p' is not available in recipes")
fails(function() return ("%10.3p"):format({}) end, "string.format: '%p' is not available in recipes")
assert(("%d %5s %-5s| %q %%"):format(3, "a", "b", "x") == '3     a b    | "x" %')

-- Metatables.
fails(function() setmetatable({}, { __gc = print }) end, "setmetatable: '__gc' is not available in recipes")
fails(function() setmetatable({}, { __mode = "k" }) end, "setmetatable: '__mode' is not available in recipes")
fails(function() setmetatable(setmetatable({}, { __metatable = 1 }), {}) end,
  "cannot change a protected metatable")
fails(function() setmetatable(_ENV, {}) end, "cannot change a protected metatable")
fails(function() setmetatable(image, {}) end, "bad argument #1 to 'setmetatable' (table expected, got function)")
local Class = {}
Class.__index = Class
function Class.new() return setmetatable({}, Class) end
function Class:hello() return "hello" end
assert(Class.new():hello() == "hello")

-- The string library's methods cannot be changed for others.
local upper = string.upper
string.upper = function() return "changed" end
assert(("x"):upper() == "X")
string.upper = upper

-- Errors.
fails(function() error("plain", 0) end, "plain")
assert(select(2, pcall(error, "deep", 0)) == "deep")
local object = {}
assert(select(2, pcall(error, object)) == object)
fails(function() assert(false, "said so") end, "said so")
fails(function() assert(nil) end, "assertion failed!")
fails(function() local x = {}; return x.y.z end, "attempt to index a nil value (field 'y')")
local ok, message = pcall(function() error("with place") end)
assert(not ok and message:find("^[^:]*language%.lua:%d+: with place$"), message)
assert(select("#", pcall(function() return 1, nil, 3 end)) == 4)

-- Tables.
local function sorted(list, less)
  table.sort(list, less)
  return table.concat(list, " ")
end
assert(sorted({}) == "" and sorted({ 2, 1 }) == "1 2" and sorted({ "b", "a", "c" }) == "a b c")
assert(sorted({ 5, 3, 9, 1, 7, 2, 8 }) == "1 2 3 5 7 8 9")
assert(sorted({ 1, 2, 3 }, function(a, b) return a > b end) == "3 2 1")
local rows = {}
for i = 1, 500 do
  rows[i] = { key = i % 7, at = i }
end
table.sort(rows, function(a, b) return a.key < b.key end)
for i = 2, #rows do                        -- equal keys keep their order
  local a, b = rows[i - 1], rows[i]
  assert(a.key < b.key or (a.key == b.key and a.at < b.at))
end
fails(function() table.sort { 1, "x" } end, "attempt to compare string with number")
fails(function() table.insert(setmetatable({}, { __len = function() return 1 << 50 end }), 1, 2) end,
  "table.insert: tables with '__len' are not supported")
local list = { 1, 2, 3 }
table.insert(list, 4)
table.insert(list, 1, 0)
assert(table.remove(list) == 4 and table.remove(list, 1) == 0 and table.concat(list, ",") == "1,2,3")
assert(table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), " ") == "1 1 2 3")
assert(select("#", table.unpack({ 1, nil, 3 }, 1, 3)) == 3 and table.pack(1, 2).n == 2)
assert(utf8.char(228) == "ä" and utf8.len("äö") == 2 and math.max(1, 2) == 2)

-- rep is our own.
assert(("ab"):rep(3) == "ababab" and ("ab"):rep(3, ",") == "ab,ab,ab" and ("x"):rep(1, ",") == "x")
assert(("x"):rep(0) == "" and (""):rep(3, "-") == "--" and ("x"):rep(2, "longer") == "xlongerx")
