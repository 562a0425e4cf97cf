--- Go modules: dependencies first, code second, and a program without the tool chain.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local language = require "imgmake.language"
local path = require "imgmake.path"
local step = require "imgmake.step"

local SOURCE, MODULES, OUT = "/imgmake/go", "/imgmake/modules", "/imgmake/out"
local manifests = { "go.mod", "go.sum", "go.work", "go.work.sum" }

--- What the compiler made is kept for all projects of this machine; Go names it by content.
local cache = { path = "/var/cache/go-build", id = "go-build" }

--- Modules are in a layer of the stage, so that a fresh machine gets them with it. GOTOOLCHAIN keeps to the Go
--- of the stage: it may not download another.
local environment = {
  GOMODCACHE = MODULES, GOCACHE = "/var/cache/go-build", GOTOOLCHAIN = "local", GOFLAGS = "-modcacherw",
}

-- Go compiles for every platform on any: the stage runs on the builder's own.
local for_platform = [[
export GOOS="$TARGETOS" GOARCH="$TARGETARCH"
case $TARGETARCH/$TARGETVARIANT in arm/v*) export GOARM="${TARGETVARIANT#v}";; amd64/v*) export GOAMD64="$TARGETVARIANT";; esac]]

--- The command: paths of this machine and of the stage are not in the program, nor what git says of the time.
local function command(o)
  local words = { "go", "build", "-trimpath", "-buildvcs=false" }
  if o.tags then
    words[#words + 1] = "-tags=" .. table.concat(o.tags, ",")
  end
  if o.ldflags then
    words[#words + 1] = "-ldflags=" .. o.ldflags
  end
  words[#words + 1] = "-o"
  words[#words + 1] = OUT .. "/"
  for _, package in ipairs(o.packages or { "." }) do
    words[#words + 1] = package
  end
  return language.words(words)
end

local function package_names(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, name in ipairs(list or {}) do
    if name:find("^-") then
      return nil, "packages like \"./cmd/web\" (flags of the linker are 'ldflags')"
    end
  end
  return list, expected
end

--- What has Go and the modules that are needed: nothing is downloaded where the project holds them itself.
local function modules(context, o)
  if engine.exists(path.join(context.dir, o.source, "vendor/modules.txt")) then
    return o.from
  end
  return language.stage(context, "go.build", o.name, "modules", {
    from = o.from,
    language.manifests(o.source, SOURCE, language.with(manifests, o.files)),
    language.run(o, { "# go.build: modules", "mkdir -p " .. MODULES, "go mod download" },
      language.merged(environment), { workdir = SOURCE }),
  })
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local go = {}

  ---@class imgmake.GoBuild
  ---@field from imgmake.Target        what has Go, and git where modules come from repositories; the image needs neither
  ---@field source? string             directory of go.mod; that of the Imagefile by default
  ---@field packages? string|string[]  the programs: "./cmd/web", "./cmd/..."; "." by default
  ---@field to? string                 directory of the programs in the image, "/usr/local/bin" by default
  ---@field tags? string|string[]      build tags
  ---@field ldflags? string            "-s -w -X main.version=1.2.3"
  ---@field cgo? boolean               true: with C, on the image's own platform, and libraries that the image has
  ---@field files? string|string[]     other files that `go mod download` needs: "*/go.mod" of a workspace
  ---@field exclude? string|string[]   of the code
  ---@field env? table<string, string> GOPROXY, GOPRIVATE and the like
  ---@field secret? (string|imgmake.Secret)[]
  ---@field ssh? boolean
  ---@field network? "host"|"none"|"private"
  ---@field name? string               of the stages, "go" by default: go-modules and go-build

  ---Programs of a Go module: what go.mod names is downloaded in one stage, the code compiled in another, and the
  ---image gets the programs alone. Static without `cgo`, so that "scratch" will do.
  ---@param body imgmake.GoBuild
  ---@return imgmake.Step
  function go.build(body)
    local o, items = check.options("go.build", body, language.spec {
      from = language.file_system, source = "name", packages = package_names, to = language.absolute, tags = "names",
      ldflags = "name", cgo = "boolean", files = "names", exclude = "names", name = "name",
    })
    language.no_items("go.build", items)
    check.need("go.build", o, "from")
    o.source, o.name = o.source or ".", o.name or "go"
    local build = language.stage(context, "go.build", o.name, "build", {
      from = modules(context, o),
      platform = not o.cgo and "build" or nil,
      step.copy { o.source, to = SOURCE .. "/", exclude = o.exclude },
      language.run(o, {
        "# go.build " .. language.words(o.packages or { "." }),
        "mkdir -p " .. OUT,
        not o.cgo and for_platform,
        command(o),
        ("[ -n \"$(ls %s)\" ] || { echo 'go.build: none of the packages is a program' >&2; exit 1; }"):format(OUT),
      }, language.merged(environment, { CGO_ENABLED = o.cgo and "1" or "0" }), { workdir = SOURCE, cache = cache }),
    })
    return step.copy { OUT, from = build, to = (o.to or "/usr/local/bin") .. "/" }
  end

  return go
end
