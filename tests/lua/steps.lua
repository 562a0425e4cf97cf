-- Steps, targets and their options: what is accepted, and what is said when it is not.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

local here = select(2, pcall(error, "")):match("^[^:]*")
local names = 0
local function target_fails(body, expected)
  names = names + 1
  local name = "t" .. names
  fails(function() return image(name)(body) end, "image '" .. name .. "': " .. expected)
end

-- Names and types of options.
fails(function() copy { "a", to = "/", exlude = "x" } end, "copy: unknown option 'exlude', did you mean 'exclude'?")
fails(function() copy { "a", to = "/", zzz = 1 } end, "copy: unknown option 'zzz'")
fails(function() copy { "a" } end, "copy: 'to' is missing")
fails(function() copy { to = "/" } end, "copy: no sources given")
fails(function() copy() end, "copy: expected { … }, got nil")
fails(function() copy { "a", to = 1 } end, "copy: 'to' must be a string that is not empty, not the number 1")
fails(function() copy { "a", to = "" } end, "copy: 'to' must be a string that is not empty, not the string ''")
fails(function() copy { "a", "", to = "/" } end, "copy: one of the sources is empty")
fails(function() copy { "a", 3, to = "/" } end, "copy: sources must be strings, not the number 3")
fails(function() copy { "/a", to = "/" } end,
  "copy: '/a' is absolute; files of the project are named relative to the Imagefile")
fails(function() copy { "a/../../b", to = "/" } end, "copy: 'a/../../b' is above the Imagefile's directory")
fails(function() copy { "a", to = "/", mode = 0755 } end,
  'copy: \'mode\' must be a string of octal digits, as "0755" (a number that begins with 0 is not octal in Lua), not the number 755')
fails(function() copy { "a", to = "/", mode = "0999" } end,
  'copy: \'mode\' must be a string of octal digits, as "0755", not the string \'0999\'')
fails(function() copy { "a", to = "/", owner = "a b" } end,
  'copy: \'owner\' must be an owner like "1000", "1000:1000" or "www-data:www-data", not the string \'a b\'')
fails(function() copy { "a", to = "/", owner = 4294967295 } end,
  "copy: 'owner' must be a user id of at most 4294967294, not the number 4294967295")
fails(function() copy { "a", to = "/", optional = "yes" } end,
  "copy: 'optional' must be true or false, not the string 'yes'")
for value, name in pairs { [0] = "the number 0", [61] = "the number 61", [2.5] = "the number 2.5", never = "the string 'never'" } do
  fails(function() copy { "a", to = "/", split = value } end,
    'copy: \'split\' must be "auto", false or a number of layers from 1 to 60, not ' .. name)
end
fails(function() layer { copy { "a", to = "/", split = 3 } } end,
  "layer: a copy with 'split' makes layers of its own; leave out one of the two")
layer { copy { "a", to = "/", split = "auto" }, copy { "b", to = "/", split = false } }
copy { "a", to = "/", split = 60 }
fails(function() copy { "a", to = "/", mtime = "now" } end,
  'copy: \'mtime\' must be "content", "keep" or seconds since 1970, not the string \'now\'')
fails(function() copy { "a", to = "/", from = "debian" } end,
  "copy: 'from' must be a base, a stage or an image (write base \"debian\" for an image of a registry), not the string 'debian'")
fails(function() copy { "a", to = "/", exclude = { "x", 3 } } end,
  "copy: 'exclude' must be a string or a list of strings (one of them is the number 3), not a table")
fails(function() copy { { "a" }, { x = 1 }, to = "/" } end, "copy: a list has the key the string 'x'")
copy { "a", { "b", { "c" } }, false, nil, "d", to = "/x/", exclude = "e", mode = "644", dir_mode = "0755",
  owner = "1000:1000", parents = true, optional = true, mtime = 12, split = false }

fails(function() write { "/x" } end, 'write: expected { "PATH", "TEXT" }')
fails(function() write { "/x/", "t" } end, "write: '/x/' names a directory")
fails(function() mkdir {} end, "mkdir: no paths given")
fails(function() symlink { "/x" } end, "symlink: 'target' is missing")
fails(function() symlink { "/x", to = "y" } end, "symlink: unknown option 'to'")
fails(function() env { ["A=B"] = "c" } end, "env: 'A=B' is no name of a variable")
fails(function() env { A = true } end, "env: 'the argument' must be a table of strings by name ('A' is true), not a table")
fails(function() env { "A=b" } end,
  "env: 'the argument' must be a table of strings by name (it has a value without name), not a table")
fails(function() workdir {} end, "workdir: 'the path' must be a string that is not empty, not a table")
fails(function() user(nil) end,
  'user: \'the user\' must be an owner like "1000", "1000:1000" or "www-data:www-data", not nil')
fails(function() add { "ftp://x/y", to = "/" } end,
  'add: expected one URL, as "https://example.com/tool"; files of the project are copied')
fails(function() add { "https://x.org/y", to = "/", sha256 = "12" } end,
  "add: 'sha256' must be 64 hexadecimal digits, not the string '12'")
fails(function() unpack { "a.tar", "b.tar", to = "/" } end, "unpack: expected one archive")
fails(function() layer {} end, "layer: no steps given")
fails(function() layer { env { A = "b" } } end, "layer: 'env' changes no files; put it before the layer")
fails(function() layer { "x" } end, "layer: entry 1 is no step but the string 'x'")
layer { mkdir "/a", layer { mkdir "/b" }, nil, { remove "/c" } }

fails(function() run {} end, "run: no commands given")
fails(function() run { "a", exec = { "b" } } end, "run: give commands or exec = { … }, not both")
fails(function() run { "a", network = "bridge" } end,
  "run: 'network' must be one of \"host\", \"none\", \"private\", not the string 'bridge'")
fails(function() run { "a", cache = { "x" } } end, "run: cache: 'path' must be an absolute path, not the string 'x'")
fails(function() run { "a", cache = { path = "/x", shering = "locked" } } end,
  "run: cache: unknown option 'shering', did you mean 'sharing'?")
fails(function() run { "a", secret = "a/b" } end, "run: secret: 'a/b' is no name of a secret")
fails(function() run { "a", mount = { path = "/x" } } end, "run: mount: a source or from = … is missing")

fails(function() config { "x" } end, 'config: every entry has a name, as cmd = { "prog" }')
fails(function() config { expose = { 70000 } } end,
  'config: \'expose\' must be a list of ports like 8080 or "53/udp", not a table')
fails(function() config { stop_signal = "term" } end,
  'config: \'stop_signal\' must be a signal like "SIGTERM", not the string \'term\'')
fails(function() config { healthcheck = { interval = "30s" } } end, "config: healthcheck: 'test' is missing")
fails(function() config { healthcheck = { test = "x", interval = 30 } } end,
  'config: healthcheck: \'interval\' must be a time like "90s", "30m", "24h" or "7d", not the number 30')
fails(function() config { labels = { a = "\xff" } } end, "json.encode: a string is not valid UTF-8")

-- Targets.
fails(function() image() end, "image: 'the name' must be letters, digits, '_', '.', '+' and '-', beginning with a letter or digit, not nil")
fails(function() image("a/b") end, "image: 'the name' must be letters, digits, '_', '.', '+' and '-', beginning with a letter or digit, not the string 'a/b'")
fails(function() image("x", {}) end, 'image: expected image "x" { … }')
target_fails({}, "'from' is missing: a base, a stage, an image, or \"scratch\"")
target_fails({ from = "scratch", run }, "entry 1 is no step but a function (is its { … } missing?)")
target_fails({ from = "scratch", mkdir "/a", base "debian:12" },
  "entry 2 is no step but base 'debian:12', which is a target: give it as from = … , or copy from it")
target_fails({ from = "scratch", platform = "build" }, "unknown option 'platform', did you mean 'platforms'?")
target_fails({ from = "scratch", platforms = { "linux/amd64", "linux/x86_64" } }, "'platforms': linux/amd64 is there twice")
target_fails({ from = "scratch", compression = "xz" },
  "'compression' must be one of \"gzip\", \"zstd\", not the string 'xz'")
target_fails({ from = mkdir "/x" }, "'from' must be a base, a stage or an image, not a mkdir step")

local one = image "one" { from = "scratch" }
fails(function() image "one" { from = "scratch" } end,
  "image 'one': the name is taken by the image of " .. here .. ":116")
fails(function() one.name = "two" end, "image 'one' cannot be changed")
assert(one.name == "one" and one.kind == "image" and tostring(one) == "image 'one'")
assert(base "debian:12" == base "debian:12")
fails(function() base "oci:" end, "base: 'oci:' names no file")
base "oci:dir"
fails(function() check "c" { image = one } end, "check 'c': 'run' is missing")
fails(function() check "c" { image = base "debian:12", run = "true" } end,
  "check 'c': 'image' must be an image, not base 'debian:12'")
fails(function() check "c" { image = one, run = "true", fresh = 24 } end,
  'check \'c\': \'fresh\' must be a time like "90s", "30m", "24h" or "7d", not the number 24')
fails(function() file "../x" { run = "true" } end,
  "file: 'the name' must be a path below the Imagefile's directory, not the string '../x'")
fails(function() file "x" { "touch x" } end,
  "file 'x': every entry has a name, as run = { … }; this one is the string 'touch x'")
fails(function() task "t" {} end, "task 't': 'run' is missing")
fails(function() default "one" end, "default: expected { target, … }, got the string 'one'")
fails(function() default { "one" } end, "default: 'each entry' must be a target, not the string 'one'")

-- publish.
local function publish_fails(publish, expected)
  names = names + 1
  local name = "p" .. names
  fails(function() return image(name) { from = "scratch", publish = publish } end, expected)
end
publish_fails({ version = "1" }, "publish: no repositories given")
publish_fails({ "r.example/x" }, "publish: give a version, or tags, or both")
publish_fails({ "r.example/x", version = 1.2 },
  'publish: \'version\' must be a string, as "1.2" (a number drops zeros), not the number 1.2')
publish_fails({ "r.example/x", version = "1", lates = false }, "publish: unknown option 'lates', did you mean 'latest'?")
publish_fails({ "r.example/x", version = "1", latest = true },
  'publish: \'latest\' must be "highest", false, or a line of releases like "2", not true')
publish_fails({ "r.example/x", version = "1", levels = { "mayor" } },
  "publish: 'levels': unknown level 'mayor', did you mean 'major'?")
publish_fails({ "r.example/x", tags = { "a b" } }, "publish: 'tags': 'a b' is no valid tag")
publish_fails({ "r.example/x", tags = "edge", prefix = "v" }, "publish: 'prefix' has no meaning without version")
publish_fails({ "r.example/x", version = "1", aliases = "alpine" },
  "publish: 'aliases' are other spellings of a variant, and there is none")
image "unpublished" { from = "scratch", publish = false }

-- var.
fails(function() var {} end, "var: expected { \"NAME\", default = …, help = … }, and NAME of letters, digits and '_'")
fails(function() var { "A", default = 3 } end,
  "var: 'default' must be a string (values of variables are strings), not the number 3")
fails(function() var { "B", default = "x", choices = { "a", "b" } } end, "var: B is 'x', which is not one of 'a', 'b'")
assert(var "C" == nil and var { "D", default = "d" } == "d")
fails(function() var "D" end, "var: D is declared already, at " .. here .. ":163")

-- Reading.
fails(function() read "nope" end, "nope: no such file")
fails(function() read "../unit" end, "../unit is above the Imagefile's directory")
fails(function() read "/etc/passwd" end, "/etc/passwd: paths are relative to the Imagefile")
fails(function() read "." end, ". is not a regular file")
fails(function() glob "*.nope" end, "glob: '*.nope' matches nothing (glob { '*.nope', optional = true } allows that)")
assert(#glob { "*.nope", optional = true } == 0)
assert(glob("st*.lua")[1] == "steps.lua" and read("steps.lua"):sub(1, 3) == "-- ")
fails(function() import "/x" end, "import: '/x' is absolute; \"//x\" begins at the project's root")
fails(function() import "../../.." end, "import: '../../..' is above the project's root")

-- Limits of a run, and runs in layers.
fails(function() run { "a", timeout = "0s" } end, "run: 'timeout' must be longer than 0s")
fails(function() run { "a", timeout = 10 } end, 
  "run: 'timeout' must be a time like \"90s\", \"30m\", \"24h\" or \"7d\", not the number 10")
fails(function() run { "a", memory = "2x" } end,
  "run: 'memory' must be a size like \"512m\" or \"2g\", not the string '2x'")
fails(function() run { "a", memory = "1g1g" } end,
  "run: 'memory' must be a size like \"512m\" or \"2g\", not the string '1g1g'")
fails(function() run { "a", memory = "1m" } end, "run: 'memory' must be 6m or more")
fails(function() run { "a", memory = 0 } end,
  "run: 'memory' must be a size like \"512m\" or \"2g\", not the number 0")
fails(function() run { "a", pids = 0 } end, "run: 'pids' must be 1 to 4194304")
fails(function() run { "a", pids = "5" } end, "run: 'pids' must be an integer, not the string '5'")
layer { run "true", mkdir "/a" }
layer { mkdir "/a", run "true", layer { remove "/a", run "true" } }
fails(function() run { "a", cache = { path = "/x", export = "yes" } } end,
  "run: cache: 'export' must be true or false, not the string 'yes'")
fails(function() copy { "a", to = "/", dir_mode = "u+y" } end,
  'copy: \'dir_mode\' must be a string of octal digits, as "0755", or letters as chmod(1) takes them, as "u+x", '
  .. "not the string 'u+y'")
