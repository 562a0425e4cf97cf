--- What the package managers' modules share: names that are safe in a script, and scripts.
local check = require "imgmake.check"
local step = require "imgmake.step"
local packages = {}

--- A word as the shell reads it back.
local function quote(word)
  if word:find("^[%w_@%%+=:,./-]+$") then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- The names as words of a command, in the order of the recipe.
---@param who string        "apt.install", for messages
---@param items any[]
---@param allowed string[]  patterns, one of which a name must match
---@param example string
---@return string
function packages.words(who, items, allowed, example)
  local out = {}
  for i, name in ipairs(check.strings(who, items, "packages")) do
    local good = false
    for _, pattern in ipairs(allowed) do
      good = good or name:find(pattern) ~= nil
    end
    if not good then
      error(("%s: '%s' is no name of a package, like %s"):format(who, name, example))
    end
    out[i] = quote(name)
  end
  return table.concat(out, " ")
end

--- A type of options: where a copy of repositories is. Nothing in it means anything to the shell or to sed.
function packages.address(v)
  if type(v) == "string" and v:find("^https?://[%w._~:/%%@+=-]+$") then
    return (v:gsub("/+$", ""))
  end
  return nil, 'an address like "https://mirror.example.com/20260131"'
end

--- A run step, as root in "/", whose first line says in the history what the rest is for.
---@param call string    "apt.install hello"
---@param script string  a line each; "${NAME}" in capitals is one of `values`
---@param values table<string, string>
---@param options imgmake.Run
---@return imgmake.Step
function packages.step(call, script, values, options)
  options[1] = "# " .. call
  for line in script:gmatch("[^\n]+") do
    local filled = line:gsub("%${(%u+)}", values)
    if filled ~= "" then
      options[#options + 1] = filled
    end
  end
  options.user, options.workdir = "0", "/"
  return step.run(options)
end

return packages
