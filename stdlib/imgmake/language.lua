--- What the modules of programming languages share: stages of their own, and the manifests of dependencies
--- without the code beside them.
local check = require "imgmake.check"
local object = require "imgmake.object"
local step = require "imgmake.step"
local target = require "imgmake.target"
local language = {}

--- Options that go to the steps that download: what `run` says of them.
language.download = {
  env = "map", secret = function(v) return v end, ssh = "boolean", network = function(v) return v end,
}

function language.absolute(v)
  if type(v) == "string" and v:find("^/[^%c]") then
    return (v:gsub("/+$", ""))
  end
  return nil, "an absolute path that is not /"
end

--- A target with files, as the handle that it came as: it goes on to a stage.
function language.file_system(v, who)
  local record, expected = check.convert(v, "file_system", who)
  return record and v, expected
end

--- A list: the options of `language.download`, and those of this call.
function language.spec(own)
  return language.merged(language.download, own)
end

--- A run step as root with the options for downloads in `o`, and an environment that `o.env` beats.
function language.run(o, lines, env, options)
  options.env = env
  for k, v in pairs(o.env or {}) do
    env[k] = v
  end
  options.secret, options.ssh, options.network = o.secret, o.ssh, o.network
  options.user = "0"
  for i, line in ipairs(lines) do
    options[i] = line
  end
  return step.run(options)
end

--- One list after another; the second may be missing.
function language.with(list, more)
  local out = { table.unpack(list) }
  for _, each in ipairs(more or {}) do
    out[#out + 1] = each
  end
  return out
end

--- A new table of both; the second, which may be missing, beats the first.
function language.merged(map, more)
  local out = {}
  for _, t in ipairs { map, more or {} } do
    for k, v in pairs(t) do
      out[k] = v
    end
  end
  return out
end

--- Copies of a directory only what the patterns name. A change of anything else changes nothing.
function language.manifests(source, to, patterns)
  local exclude = { "**" }
  for i, pattern in ipairs(patterns) do
    exclude[i + 1] = "!" .. pattern
  end
  return step.copy { source, to = to .. "/", exclude = exclude }
end

--- A stage that a call declares, named after its `name` option: "npm" → "npm-modules".
function language.stage(context, who, name, what, body)
  local whole = name .. "-" .. what
  local taken = object.record(context.names[whole])
  if taken then
    error(("%s: there is a %s '%s' already, at %s:%d; say name = \"…\" for stages of another name"):format(who,
      taken.kind, whole, taken.file, taken.line))
  end
  return target.constructors(context).stage(whole)(body)
end

--- What is given as positional entry, where everything has a name.
function language.no_items(who, items)
  if #items > 0 then
    error(("%s: every entry has a name, as env = { … }; this one is %s"):format(who, object.describe(items[1])))
  end
end

--- A word as the shell reads it back.
function language.quote(word)
  if word:find("^[%w_@%%+=:,./-]+$") then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Words of a command from a list.
function language.words(list)
  local out = {}
  for i, word in ipairs(list) do
    out[i] = language.quote(word)
  end
  return table.concat(out, " ")
end

return language
