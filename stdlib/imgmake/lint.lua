--- What is to be said of recipes, Imagefiles and Dockerfiles alike, without building anything. What the rules are
--- called, and why they are, is in cmd/lint_rules.c; findings of what images hold are in cmd/lint_image.c.
local engine = require "imgmake.engine"
local lint = {}

---@class imgmake.Finding
---@field rule string
---@field file string
---@field line integer
---@field target string
---@field message string

local found

local function tell(rule, at, target, message, ...)
  found[#found + 1] = { rule = rule, file = at.file, line = at.line, target = target, message = message:format(...) }
end

--- Calls fn for all steps, those in layers too.
local function each_step(target, fn)
  local function go(list)
    for _, step in ipairs(list) do
      fn(step)
      go(step.steps or {})
    end
  end
  go(target.steps or {})
end

--- { [target] = true } of those that another stands on, copies from, checks or makes first.
local function users(targets, defaults)
  local used = {}
  for _, target in ipairs(targets) do
    used[target.from or false], used[target.image or false] = true, true
    for _, need in ipairs(target.needs or {}) do
      used[need] = true
    end
    each_step(target, function(step)
      used[step.from or false] = true
      for _, m in ipairs(step.mount or {}) do
        used[m.from or false] = true
      end
    end)
  end
  for _, target in ipairs(defaults) do
    used[target] = true
  end
  return used
end

local function check_base(target)
  local name = target.name
  if name:find("^oci:") or name:find("^oci%-archive:") or name:find("^docker%-archive:") or name:find("@sha256:", 1, true) then
    return
  end
  local tag = name:match("([^/]*)$"):match(":(.*)$")
  if not tag then
    tell("latest", target, target.name, "'%s' says no tag, which means latest: name the release that is meant, as %s:1.2", name, name)
  elseif tag == "latest" then
    tell("latest", target, target.name, "'%s' is another image tomorrow: name the release that is meant", name)
  end
end

--- Words in a variable's name that say that its value is a secret.
local secret_words = { "_PASSWORD_", "_PASSWD_", "_PGPASSWORD_", "_SECRET_", "_TOKEN_", "_APIKEY_", "_API_KEY_", "_PRIVATE_KEY_",
  "_SECRET_KEY_", "_ACCESS_KEY_", "_CREDENTIALS_" }
--- And at its end, that it is only about one.
local about = { "_FILE", "_PATH", "_DIR", "_URL", "_NAME", "_ID", "_TTL", "_LENGTH", "_EXPIRY", "_TYPE", "_ALGORITHM", "_HEADER" }

local function names_secret(name)
  local upper = "_" .. name:upper() .. "_"
  for _, ending in ipairs(about) do
    if upper:sub(-#ending - 1) == ending .. "_" then
      return false
    end
  end
  for _, word in ipairs(secret_words) do
    if upper:find(word, 1, true) then
      return true
    end
  end
  return false
end

local no_values = { ["true"] = true, ["false"] = true, yes = true, no = true, on = true, off = true, none = true }

local function is_value(text)
  return #text >= 4 and not text:find("^[/$.]") and not text:find("${", 1, true) and not text:find("^%d+$")
    and not no_values[text:lower()]
end

--- What keys and tokens of well-known services look like: a pattern, how long it must be, whose it is.
local tokens = {
  { "%f[%w]A[KS]IA[%u%d]+", 20, "a key of AWS" }, { "%f[%w]gh[pousr]_%w+", 40, "a token of GitHub" },
  { "%f[%w]github_pat_[%w_]+", 60, "a token of GitHub" }, { "%f[%w]glpat%-[%w_-]+", 26, "a token of GitLab" },
  { "%f[%w]xox[abprs]%-[%w-]+", 24, "a token of Slack" }, { "%f[%w][sr]k_live_%w+", 24, "a key of Stripe" },
  { "%f[%w]npm_%w+", 40, "a token of npm" }, { "%f[%w]AIza[%w_-]+", 39, "a key of Google" },
  { "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-", 1, "a private key" },
}

local function token_in(text)
  for _, t in ipairs(tokens) do
    local hit = text:match(t[1])
    if hit and #hit >= t[2] and not hit:find("EXAMPLE") then
      return t[3]
    end
  end
end

local function check_tokens(step, target, texts)
  for _, text in ipairs(texts) do
    local what = token_in(text)
    if what then
      tell("secret-text", step, target.name, "%s stands in the recipe, and in the image's layers or history: give it as a secret, "
        .. "as run { …, secret = { \"id\" } } and --secret id=FILE, and revoke this one", what)
      return
    end
  end
end

local function texts_of(step)
  local out = {}
  for _, list in ipairs { step.lines or {}, step.exec or {}, { step.text, step.config } } do
    for _, text in ipairs(list) do
      out[#out + 1] = text
    end
  end
  for _, value in pairs(step.env or {}) do
    out[#out + 1] = value
  end
  return out
end

local function check_secrets(step, target)
  for name, value in pairs(step.kind == "env" and step.env or {}) do
    if names_secret(name) and is_value(value) and not token_in(value) then
      tell("secret-env", step, target.name, "%s is set for everybody who has the image: give it when the container starts, or to "
        .. "the step that needs it, as run { …, secret = { { id = \"%s\", env = \"%s\" } } }", name, name:lower(), name)
    end
  end
  check_tokens(step, target, texts_of(step))
end

local function script_of(step)
  return table.concat(step.lines or {}, "\n") .. " " .. table.concat(step.exec or {}, " ")
end

--- Commands that install what a manifest names.
local installs = { "npm ci", "npm install%s*$", "npm install%s*[\n&;]", "npm i%s*$", "yarn install", "yarn%s+%-%-frozen", "pnpm install",
  "pip3? install [^\n]*%-r ", "poetry install", "pipenv install", "go mod download", "bundle install", "composer install",
  "cargo fetch", "mvn [^\n]*dependency:" }

local function installer(text)
  for _, pattern in ipairs(installs) do
    if text:find(pattern) then
      return text:match(pattern):match("^%a+%d?%s+[%w:-]*"):match("^(.-)%s*$")
    end
  end
end

local function is_whole_project(step)
  if step.kind ~= "copy" or step.from then
    return false
  end
  for _, name in ipairs(step.sources) do
    if engine.path_clean(name) == "." then
      return #(step.exclude or {}) == 0
    end
  end
  return false
end

--- Each line of code would have all dependencies installed again.
local function check_order(target)
  local whole, installed
  each_step(target, function(step)
    if is_whole_project(step) then
      whole = whole or (not installed and step) or nil
    elseif step.kind == "run" then
      local how = installer(script_of(step))
      installed = installed or how
      if how and whole then
        tell("code-before-deps", whole, target.name, "the code is copied before %s (line %d), so that every change of it installs "
          .. "all again: copy the manifest and its lock first, run %s, then copy the rest", how, step.line, how)
        whole = nil
      end
    end
  end)
end

local function in_dir(target, name)
  return engine.path_join(target.dir == "" and "." or target.dir, name)
end

local function check_ignore(step, target)
  if not is_whole_project(step) then
    return
  end
  local has = target.ignore_file and target.ignore_file ~= ""
    or not target.ignore_file and (engine.exists(in_dir(target, ".imgmakeignore")) or engine.exists(in_dir(target, ".dockerignore")))
  if not has then
    tell("no-ignore-file", step, target.name, "all of the project is copied, .git and what was built here too: name what is not "
      .. "meant in %s", target.of_dockerfile and ".dockerignore" or ".imgmakeignore")
  end
end

--- Lists that apt brings, where nothing takes them away again.
local function check_lists(step, target)
  local text = step.kind == "run" and script_of(step) or ""
  if not text:find("apt%-get[^\n&;|]* update") and not text:find("apt update") or not text:find("apt[%a-]*[^\n&;|]* install")
    or text:find("/var/lib/apt/lists", 1, true) then
    return
  end
  for _, cache in ipairs(step.cache or {}) do
    if cache.path:find("/apt", 1, true) then
      return
    end
  end
  tell("package-lists", step, target.name, "what apt-get update brings stays in the layer: use apt.install { … }, or end with "
    .. "rm -rf /var/lib/apt/lists/*, or keep it in cache = { \"/var/lib/apt/lists\", \"/var/cache/apt\" }")
end

--- Targets whose layers people get: images, and what they stand on.
local function shipped(targets)
  local out = {}
  for _, target in ipairs(targets) do
    local t = target.kind == "image" and not (target.of_dockerfile and not target.is_result) and target or nil
    while t do
      out[t], t = true, t.from
    end
  end
  return out
end

local function check_use(target, used)
  if used[target] then
    return
  elseif target.kind == "stage" and not target.of_dockerfile then
    tell("unused-stage", target, target.name, "nothing stands on stage '%s' or copies from it: remove it, or make it an image if "
      .. "it is a result", target.name)
  elseif target.kind == "base" then
    tell("unused-base", target, target.name, "nothing stands on base '%s' or copies from it: remove it", target.name)
  end
end

--- How often a name stands in a text as a word of its own, comments left out.
local function count_words(text, name)
  local n = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    for word in line:gsub("%-%-.*$", ""):gmatch("[%a_][%w_]*") do
      n = n + (word == name and 1 or 0)
    end
  end
  return n
end

local function nth_line(text, n)
  local i = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    i = i + 1
    if i == n then
      return line
    end
  end
  return ""
end

--- A local is never read if its name stands nowhere else in its file.
local function check_variable(var, text)
  local line = nth_line(text, var.line)
  local name = line:match("^%s*local%s+([%a_][%w_]*)%s*=%s*var%f[%W]") or line:match("^%s*([%a_][%w_]*)%s*=%s*var%f[%W]")
  if (name and count_words(text, name) == 1) or line:find("^%s*var%s*[{\"'(%[]") then
    tell("unused-variable", var, "", "nothing reads the variable %s: remove it, so that who gives it a value is told", var.name)
  end
end

--- One of a Dockerfile, in front of its first FROM, that no line names again.
local function check_argument(var, text)
  local before, n = nth_line(text, var.line), 0
  for word in text:gmatch("[%a_][%w_]*") do
    n = n + (word == var.name and 1 or 0)
  end
  local first = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    first = first + 1
    if line:find("^%s*[Ff][Rr][Oo][Mm]%s") then
      break
    end
  end
  if n == 1 and var.line < first and before:find("^%s*[Aa][Rr][Gg]%s") then
    tell("unused-variable", var, "", "nothing reads the ARG %s: remove it", var.name)
  end
end

---@param model { targets: table[], defaults: table[], variables: table[] }
---@return imgmake.Finding[]
function lint.findings(model, is_dockerfile)
  found = {}
  local used, ships = users(model.targets, model.defaults), nil
  for _, target in ipairs(model.targets) do
    target.is_result = not used[target] or target == model.defaults[1]
  end
  ships = shipped(model.targets)
  for _, target in ipairs(model.targets) do
    if target.kind == "base" then
      check_base(target)
    end
    check_use(target, used)
    each_step(target, function(step)
      check_secrets(step, target)
      check_ignore(step, target)
      if ships[target] then
        check_lists(step, target)
      end
    end)
    if not target.title then
      check_order(target)
    end
  end
  for _, var in ipairs(model.variables) do
    local text = engine.exists(var.file) and engine.read("", var.file) or ""
    if is_dockerfile then
      check_argument(var, text)
    else
      check_variable(var, text)
    end
  end
  return found
end

return lint
