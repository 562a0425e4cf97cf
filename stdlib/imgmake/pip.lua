--- Python projects with requirements: dependencies first, code second.
local check = require "imgmake.check"
local language = require "imgmake.language"
local step = require "imgmake.step"

local WORK = "/imgmake/pip"

--- What an image that only runs has no use for.
local pip_itself = { "bin/pip*", "lib/python*/site-packages/pip", "lib/python*/site-packages/pip-*.dist-info" }

--- What requirement files and directories of wheels are called in the step: where they are in the project.
local function script(o)
  local words = { o.venv .. "/bin/python", "-m", "pip", "install" }
  if o.hashes then
    words[#words + 1] = "--require-hashes"
  end
  if o.wheels then
    words[#words + 1] = "--no-index"
    words[#words + 1] = "--find-links=" .. o.wheels
  end
  for _, file in ipairs(o.constraints or {}) do
    words[#words + 1] = "--constraint=" .. file
  end
  for _, file in ipairs(o.requirements) do
    words[#words + 1] = "--requirement=" .. file
  end
  return {
    "# pip.install " .. language.words(o.requirements),
    ("[ -x %s/bin/python ] || python3 -m venv %s"):format(language.quote(o.venv), language.quote(o.venv)),
    language.words(words),
  }
end

--- The files are only there while the step runs: in no layer.
local function install(o)
  local inputs = language.with(o.requirements, o.constraints)
  inputs[#inputs + 1] = o.wheels
  return language.run(o, script(o), {
    PIP_CACHE_DIR = "/var/cache/pip", PIP_DISABLE_PIP_VERSION_CHECK = "1", PIP_ROOT_USER_ACTION = "ignore",
    PIP_NO_INPUT = "1",
  }, { workdir = WORK, inputs = inputs, cache = { path = "/var/cache/pip", id = "pip" } })
end

local function spec(own)
  own.requirements, own.constraints, own.wheels = "names", "names", "name"
  own.hashes, own.venv = "boolean", language.absolute
  return language.spec(own)
end

local function with_defaults(o)
  o.requirements, o.venv = o.requirements or { "requirements.txt" }, o.venv or "/venv"
  return o
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local pip = {}

  ---@class imgmake.PipInstall
  ---@field requirements? string|string[]  files of the project: "requirements.txt" by default
  ---@field constraints? string|string[]   files of the project
  ---@field hashes? boolean                every requirement must have a hash
  ---@field wheels? string                 a directory of the project with all packages: no index is asked
  ---@field venv? string                   the virtual environment, "/venv" by default; made if it is not there
  ---@field env? table<string, string>     PIP_INDEX_URL and the like
  ---@field secret? (string|imgmake.Secret)[]
  ---@field ssh? boolean
  ---@field network? "host"|"none"|"private"

  ---Installs requirements into a virtual environment, and nothing of the code: for a stage or image with Python
  ---and its venv module. It runs again when the files change. Downloads are kept in a cache and never in a layer.
  ---@param body? string|imgmake.PipInstall
  ---@return imgmake.Step
  function pip.install(body)
    local o, items = check.options("pip.install", body or {}, spec {})
    if #items > 0 then
      error("pip.install: expected requirements = \"requirements.txt\" or other options with names")
    end
    return install(with_defaults(o))
  end

  ---@class imgmake.PipBuild: imgmake.PipInstall
  ---@field from imgmake.Target       what has Python and its venv module, and compilers where packages need them
  ---@field source? string            directory of the code; without it only dependencies
  ---@field to? string                where the code goes, "/app" by default
  ---@field exclude? string|string[]  of the code, beside __pycache__
  ---@field name? string              of the stage, "pip" by default: pip-venv

  ---A Python application: its dependencies in a virtual environment from a stage, then the code. The image needs
  ---the same Python at the same place, and neither pip nor compilers.
  ---@param body imgmake.PipBuild
  ---@return imgmake.Step[]
  function pip.build(body)
    local o, items = check.options("pip.build", body, spec {
      from = language.file_system, source = "name", to = language.absolute, exclude = "names", name = "name",
    })
    language.no_items("pip.build", items)
    check.need("pip.build", o, "from")
    if not o.source and (o.to or o.exclude) then
      error("pip.build: 'to' and 'exclude' are of the code; say where it is, as source = \"src\"")
    end
    with_defaults(o)
    local venv = language.stage(context, "pip.build", o.name or "pip", "venv", { from = o.from, install(o) })
    local to = o.to or "/app"
    return {
      step.copy { o.venv, from = venv, to = o.venv, exclude = pip_itself },
      step.env { PATH = o.venv .. "/bin:${PATH}", VIRTUAL_ENV = o.venv },
      o.source and {
        step.copy { o.source, to = to .. "/", exclude = language.with({ "**/__pycache__" }, o.exclude) },
        step.workdir(to),
      },
    }
  end

  return pip
end
