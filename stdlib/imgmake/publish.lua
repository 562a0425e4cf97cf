--- publish = { REPO…, version = …, … }: which tags an image gets where.
local check = require "imgmake.check"
local engine = require "imgmake.engine"
local publish = {}

---@class imgmake.Publish
---@field [integer] string     repositories: "registry.example.com/team/web"
---@field version? string      "1.2.3": gives the family 1.2.3 1.2 1 latest
---@field rebuild? string      "20261120": publishes 1.2.3-20261120 and moves 1.2.3
---@field tags? string|string[]      plain moving tags
---@field prefix? string       "v"
---@field variant? string      "alpine3.22"
---@field aliases? string|string[]   other spellings of the variant
---@field variants? string|string[]  the other suffixes that the repository knows
---@field default? boolean     false: this image has no bare tags
---@field levels? string|string[]    of "full", "minor", "major", "latest"
---@field latest? string|false "2": only that line; "highest"; false: never
---@field zero_major? boolean  0.x has a major tag
---@field channels? boolean|string[] prereleases move 2.0-rc, 2-rc and rc
---@field yanked? string|string[]    versions that do not count
---@field immutable? boolean   false: full tags may be replaced
---@field sbom? boolean        which packages the image holds, as an SPDX document attached to it

local levels = { full = true, minor = true, major = true, latest = true }

local function level_list(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, level in ipairs(list or {}) do
    if not levels[level] then
      error(("%s: unknown level '%s'%s"):format(who, level, check.hint(level, levels)))
    end
  end
  return list, expected
end

--- A part of a tag: with a prefix of its own it must still be one.
local function tag_part(v)
  if type(v) == "string" and engine.tag_valid("0" .. v) and v ~= "" then
    return v
  end
  return nil, "letters, digits, '.', '_' and '-', as tags have them"
end

local function tag_parts(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, part in ipairs(list or {}) do
    local ok, why = tag_part(part)
    if not ok then
      return nil, "a list of " .. why
    end
  end
  return list, expected
end

local function tags(v, who)
  local list, expected = check.convert(v, "names", who)
  for _, tag in ipairs(list or {}) do
    if not engine.tag_valid(tag) then
      error(("%s: '%s' is no valid tag"):format(who, tag))
    end
  end
  return list, expected
end

local function latest(v)
  if v == false or v == "highest" or (type(v) == "string" and v:find("^%d+[%d.]*$")) then
    return v
  end
  return nil, '"highest", false, or a line of releases like "2"'
end

local function channels(v, who)
  if type(v) == "boolean" then
    return v
  end
  return tag_parts(v, who)
end

local function version(v)
  if type(v) == "number" then
    return nil, 'a string, as "1.2" (a number drops zeros)'
  elseif type(v) ~= "string" or v == "" then
    return nil, "a string that is not empty"
  end
  return v
end

local function repositories(items)
  local out = {}
  for i, repo in ipairs(check.strings("publish", items, "repositories")) do
    local ok, why = engine.repository(repo)
    if not ok then
      error("publish: " .. why)
    end
    out[i] = repo
  end
  return out
end

function publish.read(body)
  local o, items = check.options("publish", body, {
    version = version, rebuild = tag_part, tags = tags, prefix = tag_part, variant = tag_part,
    aliases = tag_parts, variants = tag_parts, default = "boolean", levels = level_list,
    latest = latest, zero_major = "boolean", channels = channels, yanked = "names",
    immutable = "boolean", sbom = "boolean",
  })
  o.repos = repositories(items)
  for _, name in ipairs { "rebuild", "prefix", "variant", "levels", "channels" } do
    if o[name] and not o.version then
      error(("publish: '%s' has no meaning without version"):format(name))
    end
  end
  if o.aliases and not o.variant then
    error("publish: 'aliases' are other spellings of a variant, and there is none")
  elseif o.default == false and not o.variant then
    error("publish: default = false needs a variant, or there would be no tags")
  elseif not o.version and #(o.tags or {}) == 0 then
    error("publish: give a version, or tags, or both")
  end
  -- A variant alone has no bare tags: those are another image's, unless this one says default = true.
  if o.default == nil then
    o.is_default = o.variant == nil
  else
    o.is_default = o.default
  end
  if o.latest == false then
    o.latest = "never"
  elseif o.latest and o.latest ~= "highest" then
    o.latest, o.latest_line = "line", o.latest
  end
  if type(o.channels) == "table" then
    o.channels, o.channels_list = true, o.channels
  end
  if o.immutable == nil then
    o.immutable = true
  end
  o.file, o.line = engine.place()
  return o
end

return publish
