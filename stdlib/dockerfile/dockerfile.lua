--- dockerfile "path" in recipes, and -f Dockerfile.
local check = require "imgmake.check"
local convert = require "dockerfile.convert"
local engine = require "imgmake.engine"
local steps = require "dockerfile.steps"
local target = require "imgmake.target"
local variable = require "imgmake.variable"
local dockerfile = {}

local function in_root(dir, name)
  return engine.path_join(dir == "" and "." or dir, name)
end

--- X.dockerignore beside the Dockerfile, else .dockerignore of the context.
local function ignore_file(path, dir)
  for _, name in ipairs { path .. ".dockerignore", in_root(dir, ".dockerignore") } do
    if engine.exists(name) then
      return name
    end
  end
  return ""
end

local function ignore_in(dir)
  local name = in_root(dir, ".dockerignore")
  return engine.exists(name) and name or ""
end

local predefined = { SOURCE_DATE_EPOCH = true }
for _, side in ipairs { "TARGET", "BUILD" } do
  for _, name in ipairs { "PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT" } do
    predefined[side .. name] = true
  end
end
predefined.TARGETSTAGE = true
for name in pairs(steps.proxy_names) do
  predefined[name] = true
end

--- The path of the Dockerfile, the context and what it is given.
local function new_file(context, path, dir, base)
  return {
    context = context, path = path, dir = dir == "." and "" or dir, base = base, prefix = "",
    ignore = ignore_file(path, dir), ignore_in = ignore_in, contexts = engine.build_contexts(),
  }
end

---The Dockerfile that the command line names.
---@param context imgmake.Context
function dockerfile.main(context)
  local f = new_file(context, context.path, context.dir, target.constructors(context).base)
  f.main = true
  f.arg = function(name)
    return (engine.override(name))
  end
  f.declare = function(name, default, at)
    variable.argument(name, default, at.file, at.line)
  end
  for name in pairs(predefined) do
    variable.allow(name)
  end
  if context.reserved then
    f.writer = require "dockerfile.imagefile".new(f, context, predefined)
  end
  local stages = convert.stages(f, engine.read("", f.path))
  target.defaults = { stages[#stages].record }
  if f.writer then
    context.text = f.writer:text()
  end
end

---@class imgmake.Dockerfile
---@field [1] string                       the Dockerfile
---@field context? string                  the directory that files are copied from, "." by default
---@field args? table<string, string>      values of its ARGs
---@field prefix? string                   in front of its stages' names

---The stages of a Dockerfile, by name and by number, and its last one as `default`.
---@param context imgmake.Context
---@param body string|imgmake.Dockerfile
---@return table<string|integer, imgmake.Target>
function dockerfile.stages(context, body)
  local o, items = check.options("dockerfile", body, { context = "name", args = "map", prefix = "string" })
  if #check.strings("dockerfile", items, "paths") ~= 1 then
    error('dockerfile: expected one path, as dockerfile "Dockerfile"')
  end
  local path, dir = in_root(context.dir, items[1]), in_root(context.dir, o.context or ".")
  local f = new_file(context, path, dir, target.constructors(context).base)
  f.prefix = o.prefix or ""
  f.arg = function(name)
    return o.args and o.args[name]
  end
  f.declare = function() end
  f.check_args = function(declared)
    for name in pairs(o.args or {}) do
      if not declared[name] and not predefined[name] then
        error(("dockerfile: %s declares no ARG '%s'%s"):format(path, name, check.hint(name, declared)))
      end
    end
  end
  local out = {}
  local stages = convert.stages(f, engine.read("", f.path))
  for i, stage in ipairs(stages) do
    out[i] = stage.handle
    if stage.name then
      out[stage.name] = stage.handle
    end
  end
  out.default = out[#stages]
  return out
end

return dockerfile
