-- account.add and account.group: which arguments they take.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

for _, s in ipairs {
  account.add "app", account.add { "app", uid = 0, gid = 4294967294, group = "web", groups = { "a", "b" } },
  account.add { "_apt", home = false, shell = "/bin/bash", comment = "The app, and more", system = true },
  account.add { "machine$" }, account.group "tools", account.group { "tools", gid = 7, system = true },
} do
  assert(tostring(s) == "account step")
  layer { s }
end

for _, name in ipairs { "App", "1000", "a:b", "a b", "", "a\nb", "-a", ("a"):rep(33) } do
  fails(function() account.add(name) end, "account.add: 'the name' must be a name like \"app\": small letters, "
    .. "digits, '_', '.' and '-', beginning with a letter, not the string '" .. name .. "'")
end
fails(function() account.add {} end, 'account.add: expected one name, as account.add "app"')
fails(function() account.add { "a", "b" } end, 'account.add: expected one name, as account.add "app"')
fails(function() account.add { "app", hom = "/x" } end, "account.add: unknown option 'hom', did you mean 'home'?")
fails(function() account.add { "app", uid = -1 } end,
  "account.add: 'uid' must be a number from 0 to 4294967294, not the number -1")
fails(function() account.add { "app", uid = "7" } end,
  "account.add: 'uid' must be a number from 0 to 4294967294, not the string '7'")
fails(function() account.add { "app", home = "x" } end,
  "account.add: 'home' must be an absolute path, or false, not the string 'x'")
fails(function() account.add { "app", shell = "/bin/sh:x" } end,
  "account.add: 'shell' must be an absolute path without ':', not the string '/bin/sh:x'")
fails(function() account.add { "app", comment = "a\nroot::0:0" } end,
  "account.add: 'comment' must be a string without ':' and control characters, not the string 'a\nroot::0:0'")
fails(function() account.add { "app", groups = { "a b" } } end, "account.add: 'groups' must be a list, each a name like "
  .. "\"app\": small letters, digits, '_', '.' and '-', beginning with a letter, not a table")
fails(function() account.group { "g", uid = 1 } end, "account.group: unknown option 'uid', did you mean 'gid'?")
assert(require("imgmake.account").add)
