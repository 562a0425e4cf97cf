-- path, semver and json.

local function is(got, expected, level)
  if got ~= expected then
    error(("expected: %s\ngot: %s"):format(expected, got), level or 2)
  end
end

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  is(message, expected, 3)
end

is(path.join("a", "b", "../c"), "a/c")
is(path.join("a", "/b"), "/b")
is(path.clean("./a//b/"), "a/b")
is(path.name("services/api/"), "api")
is(path.base("x.tar.gz"), "x.tar.gz")
is(path.ext("x.tar.gz"), ".gz")
is(path.ext(".profile"), "")
is(path.stem("dir/x.tar"), "x")
is(path.dir("a/b/c"), "a/b")
is(path.dir("c"), ".")
is(path.dir("/c"), "/")

for _, case in ipairs {
  { "1.2.3", "1.2.3", 0 }, { "v1.2.3", "1.2.3", 0 }, { "1.2.3", "1.2.10", -1 }, { "2.0.0", "1.9.9", 1 },
  { "1.0.0-rc.1", "1.0.0", -1 }, { "1.0.0-rc.2", "1.0.0-rc.10", -1 }, { "1.0.0-alpha", "1.0.0-alpha.1", -1 },
  { "1.0.0-1", "1.0.0-a", -1 }, { "1.0.0+b1", "1.0.0+b2", 0 }, { "1.2", "1.2.0", 0 }, { "1", "1.0.0", 0 },
} do
  is(semver.compare(case[1], case[2]), case[3])
end
for _, bad in ipairs { "", "x", "1.", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.2.3 ", "1..2", "-1" } do
  is(semver.parse(bad), nil)
end
local v = semver.parse("v1.22.333-rc.1+build.5")
is(v.major, 1)
is(v.minor, 22)
is(v.patch, 333)
is(v.prerelease, "rc.1")
is(v.build, "build.5")
for _, case in ipairs {
  { "1.2.3", "^1.2", true }, { "2.0.0", "^1.2", false }, { "0.3.0", "^0.2", false }, { "0.2.9", "^0.2", true },
  { "1.2.9", "~1.2", true }, { "1.3.0", "~1.2", false }, { "1.9.0", "~1", true }, { "1.5.0", ">=1.2 <2", true },
  { "2.0.0", ">=1.2 <2", false }, { "1.2.3", "1.2.3", true }, { "1.2.3", "=1.2.4", false },
} do
  is(semver.satisfies(case[1], case[2]), case[3])
end
fails(function() semver.compare("x", "1") end, "semver: 'x' is no version")
fails(function() semver.satisfies("1", ">>1") end, "semver: unknown operator '>>'")

is(json.encode { b = 1, a = { 1, 2.5, "x\n\"" }, c = { d = true } }, '{"a":[1,2.5,"x\\n\\""],"b":1,"c":{"d":true}}')
is(json.encode({}), "{}")
is(json.encode(json.array {}), "[]")
is(json.encode(json.null), "null")
is(json.encode(1.0), "1.0")
is(json.encode(json.decode('{"a":[],"b":null,"c":{},"d":[1,[2]]}')), '{"a":[],"b":null,"c":{},"d":[1,[2]]}')
is(json.decode("12"), 12)
is(json.decode('"\\u00e4"'), "ä")
assert(json.decode("null") == json.null)
fails(function() json.decode("{") end,
  "json.decode: not valid JSON: line 1, column 1: string or '}' expected near end of file")
fails(function() json.decode('{"a":1,"a":2}') end,
  "json.decode: not valid JSON: line 1, column 10: duplicate object key near '\"a\"'")
fails(function() json.encode(print) end, "json.encode: a function has no JSON")
fails(function() json.encode { 1, x = 2 } end, "json.encode: a list has holes, or names beside its values")
fails(function() json.encode { 1, nil, 3 } end, "json.encode: a list has holes, or names beside its values")
fails(function() json.encode { [{}] = 1 } end, "json.encode: a key is a table")
fails(function() json.encode(0 / 0) end, "json.encode: a number is not finite")
fails(function() json.encode("\xff") end, "json.encode: a string is not valid UTF-8")
fails(function() local t = {}; t.t = t; json.encode(t) end, "json.encode: nested deeper than 64")
is(require("imgmake.semver").compare("1", "2"), -1)
assert(not pcall(require, "imgmake.check") and not pcall(require, "imgmake.engine"))
fails(function() require "../x" end, "require: '../x' is no name of a module, like \"lib.util\"")
