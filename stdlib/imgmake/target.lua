--- Targets: `target.constructors(context)` gives the functions of one Imagefile.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local publish = require "imgmake.publish"
local step = require "imgmake.step"
local target = {}

---@class imgmake.Context  one Imagefile
---@field dir string       its directory, relative to the project's root; "" is the root
---@field path string      of the file itself
---@field prefix string    of its targets' names: "services/api/"
---@field names table<string, imgmake.Target>
---@field main boolean

--- All targets of all Imagefiles, in order of declaration.
target.all = {}
target.defaults = {}
--- Constructors that got a name and no body yet.
local pending = {}
local bases = {}

local scratch = object.new({ kind = "scratch", name = "scratch" }, "scratch")

local function declare(context, record, name)
  local first = object.record(context.names[name])
  if first then
    error(("%s '%s': the name is taken by the %s of %s:%d"):format(record.kind, name, first.kind,
      first.file, first.line))
  end
  record.name = context.prefix .. name
  record.dir = context.dir
  local handle = object.new(record, name)
  context.names[name] = handle
  target.all[#target.all + 1] = record
  return handle
end

--- `image "web" { … }`: a function that takes the name and returns one that takes the body.
local function curried(context, kind, check_name, build)
  return function(name, ...)
    check.value(kind, "the name", name, check_name)
    if select("#", ...) > 0 then
      error(('%s: expected %s "%s" { … }'):format(kind, kind, name))
    end
    local file, line = engine.place()
    local waiting = { kind = kind, name = name, file = file, line = line }
    pending[#pending + 1] = waiting
    return function(body)
      if pending[#pending] == waiting then
        pending[#pending] = nil
      else
        waiting.done = true
      end
      local given = waiting.name
      local record = build(kind .. " '" .. given .. "'", body, given, context)
      record.kind, record.file, record.line = record.kind or kind, waiting.file, waiting.line
      return declare(context, record, given)
    end
  end
end

local function plain_name(v)
  if type(v) == "string" and #v <= 200 and v:find("^[%w_][%w_.+-]*$") then
    return v
  end
  return nil, "letters, digits, '_', '.', '+' and '-', beginning with a letter or digit"
end

local function file_name(v)
  if type(v) ~= "string" or v == "" or v:find("\0", 1, true) then
    return nil, "a path"
  end
  local clean = engine.path_clean(v)
  if v:sub(1, 1) == "/" or clean == "." or clean == ".." or clean:sub(1, 3) == "../" then
    return nil, "a path below the Imagefile's directory"
  end
  return v
end

--- Without `from` an image would silently be empty, so that nothing is to be said aloud.
local function from(v)
  if v == "scratch" or v == scratch then
    return "scratch"
  end
  return check.convert(v, "file_system")
end

local function platform(v)
  local normal, why
  if type(v) == "string" then
    normal, why = engine.platform(v)
  end
  return normal, 'a platform like "linux/arm64"' .. (why and " (" .. why .. ")" or "")
end

local function platforms(v, who)
  local list, expected = check.convert(v, "names", who)
  local out, seen = {}, {}
  for i, text in ipairs(list or {}) do
    out[i], expected = platform(text)
    if not out[i] then
      return nil, "a list, each " .. expected
    end
    if seen[out[i]] then
      error(("%s: %s is there twice"):format(who, out[i]))
    end
    seen[out[i]] = true
  end
  return list and out, expected
end

check.define("from", from)
check.define("compression", check.choice("gzip", "zstd"))
check.define("target_name", plain_name)

local function file_system(who, body, spec)
  local o, items = check.options(who, body, spec)
  if o.from == nil then
    error(('%s: \'from\' is missing: a base, a stage, an image, or "scratch"'):format(who))
  end
  if o.from == "scratch" then
    o.from = nil
  end
  o.steps = step.records(who, items)
  o.on_build_platform = o.platform == "build" or nil
  return o
end

local stage_options = { from = "from", compression = "compression", platform = check.choice("build") }

local function stage(who, body)
  return file_system(who, body, stage_options)
end

local image_options = {
  from = "from", compression = "compression", platforms = platforms, annotations = "map",
  publish = function(v) return v and publish.read(v) end,
}

local function image(who, body)
  local o = file_system(who, body, image_options)
  o.publish = o.publish or nil
  o.annotations = o.annotations and engine.json_encode(o.annotations)
  return o
end

--- The dependencies of a host rule: patterns, and targets that must be made before.
local function read_deps(who, o)
  local patterns, needs = {}, {}
  for _, v in ipairs(check.items(o.deps or {}, who .. ": 'deps'")) do
    local record = object.target(v)
    if record and record.kind ~= "scratch" then
      needs[#needs + 1] = record
    else
      patterns[#patterns + 1] = v
    end
  end
  if #patterns > 0 then
    check.strings(who, patterns, "deps")
  end
  o.deps, o.needs = patterns, needs
  return o
end

local function any_list(v)
  return type(v) == "table" and not object.record(v) and v or { v }
end

local function no_items(who, items, example)
  if #items > 0 then
    error(("%s: every entry has a name, as %s; this one is %s"):format(who, example or "run = { … }",
      object.describe(items[1])))
  end
end

local check_options = { image = "image", run = "names", host = "boolean", deps = "names", fresh = "duration" }

local function verify(who, body)
  local o, items = check.options(who, body, check_options)
  no_items(who, items)
  check.need(who, o, "image", "run")
  if o.deps and not o.host then
    error(who .. ": a check in the image sees no files of the project; 'deps' is for host = true")
  end
  o.on_host = o.host
  return o
end

local function rule(who, body, name, context)
  local o, items = check.options(who, body, { deps = any_list, run = "names" })
  no_items(who, items)
  check.need(who, o, "run")
  o.path = name
  o.output = engine.path_join(context.dir == "" and "." or context.dir, name)
  engine.output(o.output)
  return read_deps(who, o)
end

--- A file that says which packages an image holds.
local function sbom(who, body, name, context)
  local o, items = check.options(who, body, { image = "image", platform = platform })
  no_items(who, items, "image = …")
  check.need(who, o, "image")
  if name:sub(-1) == "/" then
    error(who .. ": it is one file; leave out the '/' at the end")
  end
  local platforms = o.image.platforms or {}
  if #platforms > 1 and not o.platform then
    error(("%s: image '%s' is made for several platforms; say which, as platform = \"%s\"")
      :format(who, o.image.name, platforms[1]))
  end
  o.kind, o.needs, o.fixed_platform = "file", { o.image }, o.platform or platforms[1]
  o.platform = nil
  o.output = engine.path_join(context.dir == "" and "." or context.dir, name)
  engine.output(o.output)
  return o
end

local function task(who, body)
  local o, items = check.options(who, body, { deps = any_list, run = "names" })
  no_items(who, items)
  if not o.run and not o.deps then
    error(("%s: 'run' is missing"):format(who))
  end
  return read_deps(who, o)
end

local local_schemes = { oci = true, ["oci-archive"] = true, ["docker-archive"] = true }

--- base "REF": the same name twice is the same base.
local function base(context, ref, ...)
  check.value("base", "the name", ref, "name")
  if select("#", ...) > 0 then
    error('base: expected one name, as base "docker.io/library/debian:12"')
  end
  if ref == "scratch" then
    return scratch
  end
  local scheme = ref:match("^([%a-]+):")
  local is_local = local_schemes[scheme]
  local key = is_local and context.dir .. "\0" .. ref or ref
  if bases[key] then
    return bases[key]
  end
  if is_local then
    if ref == scheme .. ":" then
      error(("base: '%s' names no file"):format(ref))
    end
  else
    local ok, why = engine.reference(ref)
    if not ok then
      error("base: " .. why)
    end
  end
  local record = { kind = "base", name = ref, dir = context.dir }
  record.file, record.line = engine.place()
  bases[key] = object.new(record, ref)
  target.all[#target.all + 1] = record
  return bases[key]
end

local function default(context, body)
  local items = check.items(object.record(body) and { body } or body, "default")
  for _, v in ipairs(items) do
    local record = check.value("default", "each entry", v, "target")
    if context.main then
      target.defaults[#target.defaults + 1] = record
    end
  end
  if context.has_default then
    error("default: there is one already, at " .. context.has_default)
  end
  context.has_default = ("%s:%d"):format(engine.place())
end

---@param context imgmake.Context
---@return table<string, function>
function target.constructors(context)
  return {
    base = function(...) return base(context, ...) end,
    stage = curried(context, "stage", "target_name", stage),
    image = curried(context, "image", "target_name", image),
    check = curried(context, "check", "target_name", verify),
    file = curried(context, "file", file_name, rule),
    sbom = curried(context, "sbom", file_name, sbom),
    task = curried(context, "task", "target_name", task),
    default = function(body)
      if type(body) ~= "table" then
        error("default: expected { target, … }, got " .. object.describe(body))
      end
      default(context, body)
    end,
  }
end

--- Called when all is evaluated: a name without body is a mistake, not an empty target.
function target.finish()
  for _, waiting in ipairs(pending) do
    if not waiting.done then
      engine.raise(("%s '%s' has no { … }"):format(waiting.kind, waiting.name), waiting.file, waiting.line)
    end
  end
end

return target
