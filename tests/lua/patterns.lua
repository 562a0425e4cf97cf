-- find, match, gmatch and gsub are our own; what Lua's give is the measure.

local function same(expected, ...)
  local got = table.pack(...)
  for i = 1, got.n do
    got[i] = tostring(got[i])
  end
  got = table.concat(got, " ")
  if got ~= expected then
    error("expected: " .. expected .. "\ngot: " .. got, 2)
  end
end

same("2 4", ("hello"):find("ell"))
same("nil", ("hello"):find("xyz"))
same("1 0", ("hello"):find(""))
same("6 5", ("hello"):find("", 6))
same("nil", ("hello"):find("", 7))
same("4 4", ("a.b.c"):find(".", 3, true))
same("2 2", ("a.b.c"):find("%."))
same("5 5", ("hello"):find("o", -1))
same("1 5 hello", ("hello"):find("(.+)"))
same("3 4 l l", ("hello"):find("(l)(l)"))
same("2024 12 31", ("2024-12-31"):match("^(%d+)-(%d+)-(%d+)$"))
same("nil", ("x2024"):match("^%d"))
same("1 6", ("hello"):match("()hello()"))
same("key value", ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
same("(a(b)c)", ("x(a(b)c)y"):match("%b()"))
same("THE", ("THE (quick) fox"):match("%f[%a]%u+%f[%A]"))
same("x y", ("x y  "):match("^(.-)%s*$"))
same("]", ("a]b"):match("[]]"))
same("^", ("a^b"):match("[%^x]"))
same("-", ("a-b"):match("[a%-]", 2))
same("bcd", ("abcde"):match("[b-d]+"))
same("ae", ("abcde"):gsub("[b-d]", ""):sub(1, 2))
same('"', ([[say "hi"]]):match([[(["'])hi%1]]))
same("nil", ("ab"):match("(a)%1"))
same("hexxo 2", ("hello"):gsub("l", "x"))
same("hexlo 1", ("hello"):gsub("l", "x", 1))
same("-a-b- 3", ("ab"):gsub("", "-"))
same("<a><b> 2", ("ab"):gsub("%w", "<%0>"))
same("b a 1", ("a b"):gsub("(%w) (%w)", "%2 %1"))
same("100% 1", ("100x"):gsub("x", "%%"))
same("$HOME is /root 1", ("$HOME is $DIR"):gsub("%$(%u+)", { DIR = "/root" }, 2):gsub("^", ""))
same("AbC 2", ("abc"):gsub("[ac]", string.upper))
same("abc 3", ("abc"):gsub("%w", function() end))
same("xbxb 2", ("abab"):gsub("a", "x"))
same("xbab 1", ("abab"):gsub("^a", "x"))
same("a\0b 0", ("a\0b"):gsub("x", ""))
same("2 2", ("a\0b"):find("\0"))

local words = {}
for w in ("one two  three"):gmatch("%a+") do
  words[#words + 1] = w
end
same("one two three", table.concat(words, " "))
local pairs_seen = {}
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do
  pairs_seen[#pairs_seen + 1] = k .. v
end
same("a1 b2", table.concat(pairs_seen, " "))
local empty = 0
for _ in ("abc"):gmatch("") do
  empty = empty + 1
end
same("4", empty)

local function fails(expected, f, ...)
  local ok, message = pcall(f, ...)
  if ok or message:sub(-#expected) ~= expected then
    error("expected: " .. expected .. "\ngot: " .. tostring(message), 2)
  end
end
fails("malformed pattern (missing ']')", string.find, "a", "[a")
fails("malformed pattern (missing ']')", string.find, "a", "[")
fails("malformed pattern (missing ']')", string.find, "a", "[^")
fails("malformed pattern (missing ']')", string.find, "a", "[a%")
fails("malformed pattern (missing ']')", string.find, "a", "[a%]")
fails("malformed pattern (ends with '%')", string.find, "a", "%")
fails("malformed pattern (missing arguments to '%b')", string.find, "a", "%bx")
fails("missing '[' after '%f' in pattern", string.find, "a", "%fa")
fails("unfinished capture", string.find, "a", "(a")
fails("invalid pattern capture", string.match, "a", "a)")
fails("invalid capture index %1", string.find, "a", "%1")
fails("too many captures", string.find, "a", ("()"):rep(33))
fails("pattern too complex", string.find, ("a"):rep(300), ("a?"):rep(300) .. "b")
fails("invalid capture index %2", string.gsub, "a", "a", "%2")
fails("invalid use of '%' in replacement string", string.gsub, "a", "a", "%x")
fails("invalid use of '%' in replacement string", string.gsub, "a", "a", "x%")
fails("invalid replacement value (a table)", string.gsub, "a", "a", function() return {} end)
