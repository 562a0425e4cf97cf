--- Node projects with a package-lock.json: dependencies first, code second.
local check = require "imgmake.check"
local language = require "imgmake.language"
local step = require "imgmake.step"

local manifests = { "package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc" }

--- What npm downloads is kept for all projects of this machine; it is named by content.
local cache = { path = "/var/cache/npm", id = "npm" }

local environment = {
  npm_config_cache = "/var/cache/npm", npm_config_update_notifier = "false", npm_config_fund = "false",
  npm_config_audit = "false",
}

local function install(o, dev)
  local words = { "npm", "ci" }
  if not dev then
    words[#words + 1] = "--omit=dev"
  end
  if o.scripts == false then
    words[#words + 1] = "--ignore-scripts"
  end
  return {
    language.manifests(o.source or ".", o.to, language.with(manifests, o.files)),
    language.run(o, { "# npm.install", language.words(words) }, language.merged(environment),
      { workdir = o.to, cache = cache }),
  }
end

local install_options = {
  source = "name", to = language.absolute, files = "names", scripts = "boolean",
}

local function spec(own)
  return language.spec(language.merged(install_options, own))
end

---@param context imgmake.Context  one Imagefile
return function(context)
  local npm = {}

  ---@class imgmake.NpmInstall
  ---@field source? string          directory of package.json and package-lock.json; that of the Imagefile by default
  ---@field to? string              "/app"
  ---@field dev? boolean            development dependencies too
  ---@field scripts? boolean        false: the packages' install scripts are not run
  ---@field files? string|string[]  other files that `npm ci` needs, as "packages/*/package.json"
  ---@field env? table<string, string>
  ---@field secret? (string|imgmake.Secret)[]
  ---@field ssh? boolean
  ---@field network? "host"|"none"|"private"

  ---Installs what package-lock.json names, by `npm ci`, and nothing of the code: for a stage or image with Node.
  ---It runs again when the manifests change. Downloads are kept in a cache and never in a layer.
  ---@param body? imgmake.NpmInstall
  ---@return imgmake.Step[]
  function npm.install(body)
    local o, items = check.options("npm.install", body or {}, spec { dev = "boolean" })
    language.no_items("npm.install", items)
    o.to = o.to or "/app"
    return install(o, o.dev)
  end

  --- The code, built by a script of package.json in a stage of its own.
  local function build(o, exclude)
    local stage = language.stage(context, "npm.build", o.name, "build", {
      from = o.from,
      install(o, true),
      step.copy { o.source, to = o.to .. "/", exclude = exclude },
      language.run(o, { "# npm.build " .. o.run, "npm run " .. language.quote(o.run) }, language.merged(environment),
        { workdir = o.to, cache = cache }),
    })
    local out = { step.copy { o.source .. "/package.json", to = o.to .. "/" } }
    for i, path in ipairs(o.output) do
      out[i + 1] = step.copy { o.to .. "/" .. path, from = stage, to = o.to .. "/" .. path }
    end
    return out
  end

  ---@class imgmake.NpmBuild: imgmake.NpmInstall
  ---@field from imgmake.Target       what has Node and npm; the image that this is for needs Node alone
  ---@field run? string               a script of package.json, as "build"; without it the code is taken as it is
  ---@field output? string|string[]   what the script makes, relative to package.json: "dist" by default
  ---@field exclude? string|string[]  of the code, beside node_modules
  ---@field name? string              of the stages, "npm" by default: npm-modules and npm-build

  ---A Node application: its production dependencies from one stage, what a script builds with all dependencies
  ---from another, or the code as it is. The image gets neither npm nor development dependencies.
  ---@param body imgmake.NpmBuild
  ---@return imgmake.Step[]
  function npm.build(body)
    local o, items = check.options("npm.build", body, spec {
      from = language.file_system, run = "name", output = "names", exclude = "names", name = "name",
    })
    language.no_items("npm.build", items)
    check.need("npm.build", o, "from")
    if o.output and not o.run then
      error("npm.build: 'output' is what a script makes; say which, as run = \"build\"")
    end
    o.to, o.source, o.name, o.output = o.to or "/app", o.source or ".", o.name or "npm", o.output or { "dist" }
    local exclude = language.with({ "**/node_modules" }, o.exclude)
    local modules = language.stage(context, "npm.build", o.name, "modules", { from = o.from, install(o, false) })
    return {
      step.copy { o.to .. "/node_modules", from = modules, to = o.to .. "/node_modules", optional = true },
      o.run and build(o, exclude) or step.copy { o.source, to = o.to .. "/", exclude = exclude },
      step.env { NODE_ENV = "production" },
      step.workdir(o.to),
    }
  end

  return npm
end
