-- apt, apk and dnf: which names and options they take. What they run is tested with real packages.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

local function apt_refuses(name)
  fails(function() apt.install { "hello", name } end, ("apt.install: '%s' is no name of a package, like "
    .. '"hello", "hello:arm64", "hello=2.10-3" or "hello/bookworm"'):format(name))
end

-- Steps like all others: in lists, in layers, and of one string.
for _, s in ipairs {
  apt.install "hello", apt.install { "hello", { "g++", false }, nil, "libc6-dev:arm64" },
  apt.install { "hello=2.10-3", "nodejs=20.*", "a:i386=1:2.3~rc1+b1-2", "hello/bookworm-backports", "libfoo2.0" },
  apt.install { "hello", recommends = true, snapshot = "20260131T120000Z" },
  apt.install { "hello", snapshot = "20260131" },
  apk.add "curl", apk.add { "curl=8.5.0-r0", "nodejs~20", "nodejs~=20", "curl>8", "curl>=8", "curl@edge", ".build" },
  apk.add { "curl", snapshot = "https://mirror.example.com:8443/alpine-20260131/" },
  dnf.install "curl", dnf.install { "curl", release = "2023.6.20250115" },
  dnf.install { "curl", release = "9", snapshot = { baseos = "http://m.example.com/9.4/BaseOS/x86_64/os/" } },
  dnf.install { "curl-8.6.0", "python3*", "@core", "nodejs:20", "/usr/bin/cc", "perl(Carp)", recommends = true },
} do
  assert(tostring(s) == "run step")
  layer { s }
end

-- Options of the programs, removals, files, patterns and what the shell would see are no packages.
for _, name in ipairs { "-y", "--allow-unauthenticated", "hello-", "./hello.deb", "/hello.deb", "Hello", "h", "a b",
  "a;b", "$(id)", "a'b", "a\nb", "hello=", "hello/", "hello:", "^hello$", "hel*", "hello=1 2" } do
  apt_refuses(name)
end
for _, name in ipairs { "-U", "!curl", "curl>", "a b", "a;b", "a'b", "$x", "./a.apk", "curl=1 2" } do
  fails(function() apk.add { name } end, ("apk.add: '%s' is no name of a package, like "
    .. '"curl", "curl=8.5.0-r0", "nodejs~20" or "curl@edge"'):format(name))
end
for _, name in ipairs { "-y", "--nogpgcheck", "a b", "a;b", "a'b", "$x", "" } do
  fails(function() dnf.install { name } end, name == "" and "dnf.install: one of the packages is empty"
    or ("dnf.install: '%s' is no name of a package, like "
      .. '"curl", "curl-8.6.0", "@core" or "/usr/bin/cc"'):format(name))
end

fails(function() apt.install {} end, "apt.install: no packages given")
fails(function() apt.install() end, "apt.install: expected { … }, got nil")
fails(function() apt.install { 3 } end, "apt.install: packages must be strings, not the number 3")
fails(function() apt.install { "a", recomends = true } end,
  "apt.install: unknown option 'recomends', did you mean 'recommends'?")
fails(function() apt.install { "hello", recommends = "yes" } end,
  "apt.install: 'recommends' must be true or false, not the string 'yes'")
for _, time in ipairs { "2026", "20260131T", "2026-01-31", "20260131T120000", "20260131T120000Z;x", "" } do
  fails(function() apt.install { "hello", snapshot = time } end, ('apt.install: \'snapshot\' must be a time like '
    .. '"20260131" or "20260131T120000Z", not the string \'%s\''):format(time))
end
for _, address in ipairs { "20260131", "ftp://x/y", "https://", "https://x/a b", "https://x/';id", "https://x/$y", "https://x/a,b" } do
  fails(function() apk.add { "a", snapshot = address } end, ("apk.add: 'snapshot' must be an address like "
    .. "\"https://mirror.example.com/20260131\", not the string '%s'"):format(address))
end
fails(function() dnf.install { "a", snapshot = "https://x/y" } end,
  "dnf.install: 'snapshot' must be a table of strings by name, not the string 'https://x/y'")
fails(function() dnf.install { "a", snapshot = {} } end,
  "dnf.install: 'snapshot' must be a table of addresses by repository, which is not empty, not a table")
fails(function() dnf.install { "a", snapshot = { ["a b"] = "https://x/y" } } end,
  "dnf.install: 'snapshot' must be a table of addresses by repository ('a b' is no name of one), not a table")
fails(function() dnf.install { "a", snapshot = { updates = "x" } } end,
  "dnf.install: 'snapshot' must be a table of addresses by repository; that of 'updates' is not an address like "
  .. '"https://mirror.example.com/20260131", not a table')
for _, release in ipairs { "", "9;id", "-y", "9 4", "$x" } do
  fails(function() dnf.install { "a", release = release } end, ("dnf.install: 'release' must be a release like "
    .. "\"9.4\" or \"2023.6.20250115\", not the string '%s'"):format(release))
end
fails(function() dnf.install { "a", release = 9 } end,
  'dnf.install: \'release\' must be a release like "9.4" or "2023.6.20250115", not the number 9')
fails(function() apk.add { "a", virtual = "b" } end, "apk.add: unknown option 'virtual'")
fails(function() dnf.instal { "a" } end, "attempt to call a nil value (field 'instal')")

assert(require("imgmake.apt").install and require("imgmake.apk").add and require("imgmake.dnf").install)
assert(not pcall(require, "imgmake.packages"))
