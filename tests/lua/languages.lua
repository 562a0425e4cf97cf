-- Languages, debian, runtime and scanners: which arguments they take. What they do is tested with the real tools.

local function fails(f, expected)
  local ok, message = pcall(f)
  message = ok and "no error" or message:gsub("^[^:]*%.lua:%d+: ", "")
  if message ~= expected then
    error("expected: " .. expected .. "\ngot: " .. message, 2)
  end
end

local tools = base "registry.example.com/tools:1"

fails(function() npm.install { cahce = true } end, "npm.install: unknown option 'cahce'")
fails(function() npm.install { sorce = "web" } end, "npm.install: unknown option 'sorce', did you mean 'source'?")
fails(function() npm.install { to = "app" } end,
  "npm.install: 'to' must be an absolute path that is not /, not the string 'app'")
fails(function() npm.install { "web" } end, "npm.install: every entry has a name, as env = { … }; this one is the string 'web'")
fails(function() npm.install { dev = "yes" } end, "npm.install: 'dev' must be true or false, not the string 'yes'")
fails(function() npm.build {} end, "npm.build: 'from' is missing")
fails(function() npm.build { from = tools, output = "dist" } end,
  "npm.build: 'output' is what a script makes; say which, as run = \"build\"")
fails(function() npm.build { from = tools, dev = true } end, "npm.build: unknown option 'dev'")
npm.build { from = tools, run = "build" }
fails(function() npm.build { from = tools } end, "npm.build: there is a stage 'npm-modules' already, at "
  .. "tests/lua/languages.lua:23; say name = \"…\" for stages of another name")
npm.build { from = tools, name = "other" }

fails(function() pip.install { requirement = "x.txt" } end,
  "pip.install: unknown option 'requirement', did you mean 'requirements'?")
fails(function() pip.install "requirements.txt" end,
  "pip.install: expected requirements = \"requirements.txt\" or other options with names")
fails(function() pip.install { venv = "/" } end,
  "pip.install: 'venv' must be an absolute path that is not /, not the string '/'")
fails(function() pip.build { from = tools, to = "/app" } end,
  "pip.build: 'to' and 'exclude' are of the code; say where it is, as source = \"src\"")
fails(function() pip.build { from = "debian" } end, "pip.build: 'from' must be a base, a stage or an image "
  .. '(write base "debian" for an image of a registry), not the string \'debian\'')
pip.build { from = tools }
image "x" { from = tools, npm.install(), { pip.install(), pip.install { env = { PIP_INDEX_URL = "https://x.example.com" } } } }

fails(function() go.build {} end, "go.build: 'from' is missing")
fails(function() go.build { from = tools, package = "./cmd" } end,
  "go.build: unknown option 'package', did you mean 'packages'?")
fails(function() go.build { from = tools, packages = { "-race", "." } } end,
  "go.build: 'packages' must be packages like \"./cmd/web\" (flags of the linker are 'ldflags'), not a table")
fails(function() go.build { from = tools, to = "bin" } end,
  "go.build: 'to' must be an absolute path that is not /, not the string 'bin'")
image "go-image" { from = "scratch", go.build { from = tools, tags = { "netgo", "osusergo" }, cgo = true } }
fails(function() go.build { from = tools } end, "go.build: there is a stage 'go-modules' already, at "
  .. "tests/lua/languages.lua:48; say name = \"…\" for stages of another name")
fails(function() cargo.build { from = tools, feature = "x" } end,
  "cargo.build: unknown option 'feature', did you mean 'features'?")
fails(function() cargo.build { from = tools, default_features = "no" } end,
  "cargo.build: 'default_features' must be true or false, not the string 'no'")
cargo.build { from = tools, bins = "web", features = { "a", "b" } }
fails(function() maven.build { from = tools, goal = "verify" } end,
  "maven.build: unknown option 'goal', did you mean 'goals'?")
fails(function() maven.build { "x" } end, "maven.build: every entry has a name, as env = { … }; this one is the string 'x'")
maven.build { from = tools, goals = { "verify" }, tests = true, profiles = "prod" }

local scanned = image "scanned" { from = tools }
fails(function() scan.trivy { image = tools } end, "scan.trivy: 'image' must be an image, not base 'registry.example.com/tools:1'")
fails(function() scan.trivy { image = scanned, severity = "bad" } end,
  "scan.trivy: 'severity' must be one of \"low\", \"medium\", \"high\", \"critical\", not the string 'bad'")
fails(function() scan.grype { severity = "high" } end, "scan.grype: 'image' is missing")
assert(scan.trivy { image = scanned, severity = "medium", unfixed = false }.name == "scanned-trivy")
assert(scan.grype { image = scanned, name = "weaknesses", fresh = "7d" }.name == "weaknesses")

fails(function() debian.rootfs { suit = "bookworm" } end, "debian.rootfs: unknown option 'suit', did you mean 'suite'?")
fails(function() debian.rootfs { "bookworm" } end, "debian.rootfs: every entry has a name, as suite = \"bookworm\"")
fails(function() debian.rootfs { suite = "bookworm; id" } end,
  "debian.rootfs: 'suite' must be a release like \"bookworm\" or \"stable\", not the string 'bookworm; id'")
fails(function() debian.rootfs { packages = { "hello", "$(id)" } } end,
  "debian.rootfs: 'packages' must be a list of names of packages ('$(id)' is none), not a table")
fails(function() debian.rootfs { variant = "tiny" } end, "debian.rootfs: 'variant' must be one of \"essential\", \"apt\", "
  .. "\"minbase\", \"required\", \"important\", \"standard\", not the string 'tiny'")
fails(function() debian.rootfs { mirror = "http://x/ y" } end, "debian.rootfs: 'mirror' must be an address like "
  .. "\"http://deb.debian.org/debian\", not the string 'http://x/ y'")
fails(function() debian.rootfs { mirror = "http://x.example.com/debian", snapshot = "20260101" } end,
  "debian.rootfs: 'snapshot' has a mirror of its own; leave out one of the two")
fails(function() debian.rootfs { snapshot = "2026" } end, "debian.rootfs: 'snapshot' must be a time like \"20260131\" "
  .. "or \"20260131T120000Z\", not the string '2026'")
assert(debian.rootfs { packages = "hello", snapshot = "20260131", components = { "main", "non-free" } }.kind == "stage")
image "debian-image" { from = debian.rootfs { name = "other" } }

fails(function() runtime.distroless {} end, "runtime.distroless: 'from' is missing")
fails(function() runtime.distroless { from = tools, kind = "java" } end,
  "runtime.distroless: 'kind' must be one of \"static\", \"cc\", not the string 'java'")
fails(function() runtime.distroless { from = tools, package = "x" } end,
  "runtime.distroless: unknown option 'package', did you mean 'packages'?")
fails(function() runtime.distroless { from = tools, packages = "a;b" } end, "runtime.distroless: 'a;b' is no name of a "
  .. 'package, like "libssl3"')
