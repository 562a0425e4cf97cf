--- Imagefiles: the environment that each one sees, imports between them, and modules of the project.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local object = require "imgmake.object"
local step = require "imgmake.step"
local settings = require "imgmake.settings"
local target = require "imgmake.target"
local variable = require "imgmake.variable"
local project = {}

--- Contexts by the path of their Imagefile.
local contexts = {}
--- Paths of the files being evaluated, outermost first.
local running = {}
local main_dir

local function copy_of(t)
  local out = {}
  for k, v in rawpairs(t) do
    out[k] = v
  end
  return out
end

local function in_root(dir, name)
  return dir == "" and name or dir .. "/" .. name
end

--- Names that begin here are as on the command line: relative to the Imagefile read first, "//" before
--- what is not below it.
local function prefix_of(dir)
  if dir == main_dir then
    return ""
  elseif main_dir == "" then
    return dir .. "/"
  elseif dir:sub(1, #main_dir + 1) == main_dir .. "/" then
    return dir:sub(#main_dir + 2) .. "/"
  end
  return "//" .. (dir == "" and "" or dir .. "/")
end

--- What Lua itself gives: recipes get copies, so that no change of theirs is seen by others.
local function lua_functions()
  local env = {}
  for _, name in ipairs { "assert", "error", "ipairs", "next", "pairs", "pcall", "print", "select",
    "setmetatable", "tonumber", "tostring", "type" } do
    env[name] = _ENV[name]
  end
  for _, name in ipairs { "string", "table", "math", "utf8" } do
    env[name] = copy_of(_ENV[name])
  end
  return env
end

--- read, glob and what builds on them, for one directory.
local function file_functions(dir)
  local function read(name)
    return engine.read(dir, check.value("read", "the path", name, "name"))
  end

  ---Paths that match, sorted; outputs of file rules are not among them.
  ---@param body string|{ [integer]: string, optional?: boolean }
  local function glob(body)
    local o, items = check.options("glob", body, { optional = "boolean" })
    local out, seen = {}, {}
    for _, pattern in ipairs(check.strings("glob", items, "patterns")) do
      local found = engine.glob(dir, pattern)
      if #found == 0 and not o.optional then
        error(("glob: '%s' matches nothing (glob { '%s', optional = true } allows that)")
          :format(pattern, pattern))
      end
      for _, name in ipairs(found) do
        if not seen[name] then
          out[#out + 1], seen[name] = name, true
        end
      end
    end
    table.sort(out)
    return out
  end
  return read, glob
end

--- Runs a file, unless it is already running further out.
local function run(file, env, what)
  for i, outer in ipairs(running) do
    if outer == file then
      error(("%s cycle: %s → %s"):format(what, table.concat(running, " → ", i), file))
    end
  end
  if #running >= 50 then
    error(("%s: more than 50 files deep"):format(what))
  end
  running[#running + 1] = file
  local result = engine.run(file, env)
  running[#running] = nil
  return result
end

local evaluate

--- The targets of an Imagefile by name. A Dockerfile's stages are its own.
local function exported(context)
  local out = {}
  for name, handle in rawpairs(context.names) do
    if not object.record(handle).of_dockerfile then
      out[name] = handle
    end
  end
  return out
end

--- import "dir": "../x" from the importing file, "//x" from the root.
local function import(context, dir)
  check.value("import", "the directory", dir, "name")
  if dir:find("^oci://") then
    error("import: recipes in registries are not available in this version")
  elseif dir:sub(1, 1) == "/" and dir:sub(1, 2) ~= "//" then
    error(("import: '%s' is absolute; \"//x\" begins at the project's root"):format(dir))
  end
  local from_root = dir:sub(1, 2) == "//"
  local at = engine.path_join(from_root and "." or in_root(context.dir, "."), from_root and "./" .. dir:sub(3) or dir)
  if at == ".." or at:sub(1, 3) == "../" then
    error(("import: '%s' is above the project's root"):format(dir))
  end
  at = at == "." and "" or at
  return exported(evaluate(at, in_root(at, "Imagefile"), false))
end

--- What is compiled only when a recipe first names it: most name few of them.
local libraries = {}
for _, name in ipairs { "account", "apk", "apt", "dnf", "path", "semver" } do
  libraries[name] = function() return copy_of(require("imgmake." .. name)) end
end

local function library_of(context, name)
  if context.api[name] == nil then
    context.api[name] = libraries[name](context)
  end
  return context.api[name]
end

for _, name in ipairs { "cargo", "debian", "go", "maven", "npm", "pip", "runtime", "scan" } do
  libraries[name] = function(context) return require("imgmake." .. name)(context) end
end

function libraries.json(context) return require "imgmake.json"(context.api.read) end
function libraries.git(context) return require "imgmake.git"(context.dir) end
function libraries.ci(context) return require "imgmake.ci"(library_of(context, "git")) end
function libraries.tags(context) return require "imgmake.tags"(library_of(context, "ci")) end

--- require "a.b": of the library, else a/b.lua beside the Imagefile, else below the root.
local function require_for(context)
  local loaded = {}
  return function(name)
    check.value("require", "the name", name, "name")
    if loaded[name] ~= nil then
      return loaded[name]
    end
    local library = project.library[name]
    if library or project.modules[name] then
      loaded[name] = copy_of(library and library_of(context, library) or require(name))
      return loaded[name]
    elseif not name:find("^[%w_-]+[%w_.-]*$") or name:find("..", 1, true) then
      error(("require: '%s' is no name of a module, like \"lib.util\""):format(name))
    end
    local file = name:gsub("%.", "/")
    local tried = {}
    for _, dir in ipairs { context.dir, context.dir ~= "" and "" or nil } do
      for _, candidate in ipairs { file .. ".lua", file .. "/init.lua" } do
        local full = in_root(dir, candidate)
        if engine.exists(full) then
          local result = run(full, context.env, "require")
          loaded[name] = result == nil and true or result
          return loaded[name]
        end
        tried[#tried + 1] = full
      end
    end
    error(("require: no module '%s' (looked for %s)"):format(name, table.concat(tried, ", ")))
  end
end

--- Modules of the library that recipes may name, and where they are in the environment.
project.library = {}
for name in rawpairs(libraries) do
  project.library["imgmake." .. name] = name
end

--- And those that are nowhere in it.
project.modules = { ["dockerfile.expand"] = true, ["dockerfile.parse"] = true }

--- The names that an Imagefile sees, in front of which its own globals go.
local function environment(context)
  local api = lua_functions()
  for name, f in pairs(target.constructors(context)) do
    api[name] = f
  end
  for name, f in pairs(settings.constructors(context)) do
    api[name] = f
  end
  for _, name in ipairs { "copy", "write", "mkdir", "symlink", "remove", "unpack", "add", "env", "workdir",
    "user", "config", "run", "layer" } do
    api[name] = step[name]
  end
  api.read, api.glob = file_functions(context.dir)
  api.dockerfile = function(body) return require "dockerfile.dockerfile".stages(context, body) end
  api.var = function(body) return variable.declare(context, body) end
  api.import = function(dir) return import(context, dir) end
  api.require = require_for(context)
  context.api = api
  local names = copy_of(api)
  for name in rawpairs(libraries) do
    names[name] = true
  end
  return setmetatable(copy_of(api), {
    __index = function(env, name)
      if libraries[name] then
        local value = library_of(context, name)
        env[name] = value
        return value
      end
      error(("unknown name '%s'%s"):format(tostring(name), check.hint(name, names)), 2)
    end,
    __metatable = false,
  })
end

--- What names an Imagefile has already.
local function api_names(context)
  local out = {}
  environment(context)
  for _, names in ipairs { context.api, libraries } do
    for name in rawpairs(names) do
      out[name] = true
    end
  end
  return out
end

function evaluate(dir, file, main)
  if not contexts[file] then
    local context = {
      dir = dir, path = file, prefix = prefix_of(dir), names = {}, variables = {},
      main = main,
    }
    if main and project.reserved then
      context.reserved, context.api_names = project.reserved, api_names(context)
    end
    if main and project.is_dockerfile then
      require "dockerfile.dockerfile".main(context)
      project.text = context.text
    elseif main and project.reserved then
      engine.raise("this is no Dockerfile", file, 1)
    else
      context.env = environment(context)
      run(file, context.env, "import")
    end
    contexts[file] = context
    return context
  end
  return contexts[file]
end

--- Evaluates the Imagefile that was asked for, and with it all others.
---@param main { dir: string, file: string, is_dockerfile: boolean, convert?: table, lint?: boolean }  relative to the root
function project.evaluate(main)
  main_dir, project.is_dockerfile, project.reserved = main.dir, main.is_dockerfile, main.convert
  evaluate(main.dir, main.file, true)
  target.finish()
  variable.finish(main.file)
  if main.lint then
    project.text = engine.json_encode(engine.json_array(require "imgmake.lint".findings({
      targets = target.all, defaults = target.defaults, variables = variable.all,
    }, main.is_dockerfile)))
  end
  return { targets = target.all, defaults = target.defaults, variables = variable.all,
    settings = settings.values, text = project.text }
end

return project
